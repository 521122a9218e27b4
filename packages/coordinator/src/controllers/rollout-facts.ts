/** What a rollout's phase depends on, counted: of the numbers where they suffice, else of the replicas. Pure. */
import { ReplicaState, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import { countsAtMs, isAwaited, isLive, isReady } from './replica-facts.ts'
import type { WorkloadTally } from './workload-tally.ts'

export interface RolloutFacts {
  /** Of the new revision: ready, for long enough to count. */
  readonly available: number
  /** Of it: ended by themselves as they should, and not to be restarted. */
  readonly ended: number
  /** Of it, lost and awaited. */
  readonly awaited: number
  /** Of the new revision, neither being stopped nor lost. */
  readonly updated: number
  /** The same of earlier ones. */
  readonly outdated: number
  /** When one more will be available, if nothing happens; unix milliseconds, 0: never. */
  readonly nextAtMs: number
}

export function rolloutFacts(
  { workload }: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): RolloutFacts {
  const minReadyMs = Number(workload!.spec!.rollout?.minReadyMs ?? 0n)
  let [available, ended, awaited, updated, outdated, nextAtMs] = [0, 0, 0, 0, 0, 0]
  for (const replica of replicas) {
    const isFresh = replica.status!.revision === workload!.revision
    if (isFresh && isAwaited(replica, nowMs)) awaited++
    if (!isLive(replica)) continue
    if (isFresh) updated++
    else outdated++
    if (isFresh && replica.status!.state === ReplicaState.STOPPED) ended++
    if (!isFresh || !isReady(replica)) continue
    const atMs = countsAtMs(replica, minReadyMs)
    if (atMs <= nowMs) available++
    else if (nextAtMs === 0 || atMs < nextAtMs) nextAtMs = atMs
  }
  return { available, ended, awaited, updated, outdated, nextAtMs }
}

/** Undefined: the numbers do not tell. */
export function rolloutFactsFromTally(
  { workload }: WorkloadRecord,
  tally: WorkloadTally,
): RolloutFacts | undefined {
  const { revision, spec } = workload!
  if (tally.replaceable > 0 || (spec!.rollout?.minReadyMs ?? 0n) > 0n) return undefined
  const { live, ready, ended } = tally.of(revision)
  const outdated = tally.live - live
  return { available: ready, ended, awaited: 0, updated: live, outdated, nextAtMs: 0 }
}
