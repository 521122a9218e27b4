/** What there is to say of a workload as its replicas come, go and fail. Pure. */
import { ReplicaState, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'

/** As it was when it was last looked at. */
export interface WorkloadProgress {
  readonly revision: bigint
  readonly wanted: number
  /** Every wanted replica has a place. */
  readonly placed: boolean
  /** Every wanted replica is ready. */
  readonly ready: boolean
  /** A replica has been given up. */
  readonly failed: boolean
  /** Every replica of its first revision was ready once, or there is a later revision. */
  readonly cameUp: boolean
}

export type WorkloadWord = 'scheduled' | 'ready' | 'degraded' | 'failed'

/** `known` is undefined when this process sees the workload for the first time: nothing is said of what was before. */
export function stepWorkloadProgress(
  known: WorkloadProgress | undefined,
  { workload }: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
): { readonly progress: WorkloadProgress; readonly words: readonly WorkloadWord[] } {
  const { revision } = workload!
  const wanted = workload!.spec!.replicas
  const live = replicas.filter((r) => !r.stopping && r.status!.state !== ReplicaState.LOST)
  const current = live.filter(({ status }) => status!.revision === revision)
  const placed = current.length >= wanted && current.every(({ status }) => status!.nodeId !== '')
  const ready = live.filter(({ status }) => status!.ready).length >= wanted
  const failed = current.some(({ status }) => status!.state === ReplicaState.FAILED)
  const cameUp = ready || revision !== 1n || known?.cameUp === true
  const progress = { revision, wanted, placed, ready, failed, cameUp }
  if (known === undefined || wanted === 0) return { progress, words: [] }

  const isAsBefore = known.revision === revision && known.wanted === wanted
  const words: WorkloadWord[] = []
  if (placed && !(isAsBefore && known.placed)) words.push('scheduled')
  if (ready && revision === 1n && !known.cameUp) words.push('ready')
  if (isAsBefore && known.ready && !ready) words.push('degraded')
  if (failed && !known.failed) words.push('failed')
  return { progress, words }
}
