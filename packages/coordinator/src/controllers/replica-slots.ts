/**
 * Who fills which place of a workload: each of its replicas is of the new revision or of an earlier one, stays or goes, and
 * what is missing of either kind. Pure.
 *
 * Vocabulary: *fresh* is of the workload's revision, *old* of an earlier one; *marked* is to be replaced whatever its
 * revision; *idle* is old and takes no clients, so nothing is lost with it. One that is *awaited* is lost, but its node
 * may bring it back: it fills a place. An *orphan* is lost or marked, and nothing stands in for it.
 */
import type { ReplicaRecord, WorkloadRecord } from '@cloudless/api'
import { byUsefulness, isAwaited, isLive, isLost, isStuck } from './replica-facts.ts'
import { awaitsSwitch, quotaOf, rolloutOf } from './rollout-quota.ts'
import { isServing, takesClients } from './serving.ts'

export interface Slots {
  readonly wanted: number
  readonly live: readonly ReplicaRecord[]
  /** Each most useful first. */
  readonly fresh: readonly ReplicaRecord[]
  readonly old: readonly ReplicaRecord[]
  readonly marked: readonly ReplicaRecord[]
  readonly idle: readonly ReplicaRecord[]
  /** Beyond what the quota has places for. */
  readonly surplusFresh: readonly ReplicaRecord[]
  readonly surplusOld: readonly ReplicaRecord[]
  readonly missingFresh: number
  readonly missingOld: number
  /** Awaited ones that fill a place. */
  readonly awaited: number
  readonly orphans: readonly ReplicaRecord[]
  /** One that should stay finds no place. */
  readonly stuck: boolean
}

export function slotsOf(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): Slots {
  const { revision, spec } = workload.workload!
  const rollout = rolloutOf(workload)
  const quota = quotaOf(workload)
  const live = replicas.filter(isLive).sort(byUsefulness)
  const isFresh = (r: ReplicaRecord): boolean => r.status!.revision === revision
  const isIdle = (r: ReplicaRecord): boolean =>
    !isFresh(r) && !takesClients(rollout, r.status!.revision)
  const idle = live.filter(isIdle)
  const marked = live.filter((r) => r.replaceWanted && !isIdle(r))
  const kept = live.filter((r) => !r.replaceWanted && !isIdle(r))
  const fresh = kept.filter(isFresh)
  const old = kept.filter((r) => !isFresh(r))
  const stuck = kept.some(isStuck)
  // The old ones beside which a switch is prepared are made up for, and have room, only while they are of use.
  const wantsOld = !awaitsSwitch(workload) || old.some((r) => isServing(r, rollout))
  const oldMax = stuck && !wantsOld ? 0 : quota.old

  const absent = unsucceeded(replicas)
  const awaited = absent.filter((r) => isAwaited(r, nowMs)).sort(byUsefulness)
  const awaitedFresh = awaited.filter(isFresh).slice(0, Math.max(0, quota.fresh - fresh.length))
  const awaitedOld = awaited
    .filter((r) => !isFresh(r) && !isIdle(r))
    .slice(0, Math.max(0, oldMax - old.length))
  const filling = new Set([...awaitedFresh, ...awaitedOld])
  return {
    wanted: spec!.replicas,
    live,
    fresh,
    old,
    marked,
    idle,
    surplusFresh: fresh.slice(quota.fresh),
    surplusOld: old.slice(oldMax),
    missingFresh: Math.max(0, quota.fresh - fresh.length - awaitedFresh.length),
    missingOld: wantsOld ? Math.max(0, oldMax - old.length - awaitedOld.length) : 0,
    awaited: filling.size,
    orphans: absent.filter((r) => !filling.has(r)),
    stuck,
  }
}

/** Lost or to be replaced, and nothing stands in for it. */
function unsucceeded(replicas: readonly ReplicaRecord[]): ReplicaRecord[] {
  const succeeded = new Set(replicas.map((r) => r.status!.replaces))
  return replicas.filter((r) => (isLost(r) || r.replaceWanted) && !succeeded.has(r.status!.id))
}
