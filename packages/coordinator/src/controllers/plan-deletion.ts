/** Ends all replicas of a workload that is deleted, of whatever type. Pure. */
import type { ReplicaRecord } from '@cloudless/api'
import { isLost, isPlaced } from './replica-facts.ts'
import { nothing, type WorkloadPlan } from './workload-plan.ts'

/** Of a spec that says nothing. */
const graceMsDefault = 30_000n

/** What is being stopped already is stopped anew when it is now to have less time. */
export function planDeletion(
  replicas: readonly ReplicaRecord[],
  graceMs: bigint | undefined,
): WorkloadPlan {
  const forget = replicas.filter((r) => !isPlaced(r) || isLost(r))
  const running = replicas.filter((r) => isPlaced(r) && !isLost(r))
  return {
    ...nothing,
    forget,
    stop: running
      .filter((r) => !r.stopping || (graceMs !== undefined && graceMs < graceMsOf(r)))
      .map((replica) => ({ replica, reason: 'deleted' })),
    finished: running.length === 0,
  }
}

/** What its agent was told, or takes from the spec. */
function graceMsOf(replica: ReplicaRecord): bigint {
  return replica.stopGraceMs ?? replica.spec!.terminationGraceMs ?? graceMsDefault
}
