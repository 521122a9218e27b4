/** Which replicas clients may be sent to. Pure. */
import { RolloutStrategyKind, type ReplicaRecord, type RolloutStatus } from '@cloudless/api'
import { isLive, isReady } from './replica-facts.ts'
import type { WorkloadTally } from './workload-tally.ts'

/** Ready, not on its way out, and of a revision that takes clients. */
export function isServing(replica: ReplicaRecord, rollout: RolloutStatus | undefined): boolean {
  return isReady(replica) && isLive(replica) && takesClients(rollout, replica.status!.revision)
}

/**
 * All do, but for BLUE_GREEN: there it is everything but the new revision until the switch, and the new one alone from
 * then on. A revision that was never switched to before another came takes none.
 */
export function takesClients(rollout: RolloutStatus | undefined, revision: bigint): boolean {
  if (rollout === undefined) return true
  if (rollout.idleRevisions.includes(revision)) return false
  if (rollout.strategy !== RolloutStrategyKind.BLUE_GREEN || rollout.fromRevision === 0n)
    return true
  return rollout.switched === (revision === rollout.revision)
}

/** How many of a workload's replicas serve. */
export function servingCount(tally: WorkloadTally, rollout: RolloutStatus | undefined): number {
  let count = 0
  for (const [revision, { ready }] of tally.revisions) {
    if (takesClients(rollout, revision)) count += ready
  }
  return count
}
