/** What there is to say of a workload as its replicas come, go and fail. Pure. */
import type { WorkloadRecord } from '@cloudless/api'
import type { WorkloadTally } from './workload-tally.ts'

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
  tally: WorkloadTally,
): { readonly progress: WorkloadProgress; readonly words: readonly WorkloadWord[] } {
  const { revision } = workload!
  const wanted = workload!.spec!.replicas
  const current = tally.of(revision)
  const placed = current.live >= wanted && current.placed === current.live
  const ready = tally.ready >= wanted
  const failed = current.failed > 0
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
