/**
 * Decides what to change so that a service has the replicas its spec and its rollout ask for.
 *
 * Pure: the same records give the same plan, so it may be computed twice, late or after a crash without harm. How far a
 * rollout is, and so what is asked for, is `stepRollout`'s to say, which goes before.
 *
 * Vocabulary: a replica is *live* when it is neither being stopped nor lost; the *floor* is the number of serving
 * replicas our own actions never go below.
 *
 * Invariants
 *   1. Stopping what the plan names never takes the serving replicas below the floor, unless the workload is being
 *      deleted, scaled down to fewer, or its strategy is RECREATE.
 *   2. No more than `replicas + surge` are live by our own making; the surge of BLUE_GREEN is all replicas once more.
 *   3. With nothing left to change the plan is empty: planning again is harmless.
 */
import { RolloutStrategyKind, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import { planDeletion } from './plan-deletion.ts'
import { planSlots } from './plan-slots.ts'
import { isLive, isLost } from './replica-facts.ts'
import { quotaOf, strategyOf } from './rollout-quota.ts'
import { nothing, retire, type WorkloadPlan } from './workload-plan.ts'
import type { WorkloadTally } from './workload-tally.ts'

export { minAvailableOf } from './min-available.ts'
export { isLost } from './replica-facts.ts'
export type { WorkloadPlan } from './workload-plan.ts'

/** `replicas` are all on record of the workload, in any order. */
export function planWorkload(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): WorkloadPlan {
  if (workload.deletedAtMs > 0n) return planDeletion(replicas, workload.deleteGraceMs)
  return planRecreation(workload, replicas) ?? planSlots(workload, replicas, nowMs)
}

/** The first act of RECREATE: the old ones end before the first new one begins. Undefined: it is over, or not asked for. */
function planRecreation(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
): WorkloadPlan | undefined {
  const { revision } = workload.workload!
  if (strategyOf(workload) !== RolloutStrategyKind.RECREATE || quotaOf(workload).old > 0) {
    return undefined
  }
  const old = replicas.filter((r) => r.status!.revision !== revision && !isLost(r))
  return old.length > 0 ? retire(old.filter(isLive), 'updated') : undefined
}

/**
 * The same plan where the numbers alone tell it: nothing to do, or nothing but new replicas to make. Undefined: the
 * replicas themselves must be looked at.
 */
export function planFromTally(
  workload: WorkloadRecord,
  tally: WorkloadTally,
): WorkloadPlan | undefined {
  const { revision, spec } = workload.workload!
  const { live, marked } = tally.of(revision)
  const missing = spec!.replicas - live
  if (workload.deletedAtMs > 0n || marked > 0 || tally.live > live || missing < 0) return undefined
  // Some are to be of an earlier revision.
  if (quotaOf(workload).old > 0) return undefined
  const isRecreate = strategyOf(workload) === RolloutStrategyKind.RECREATE
  // RECREATE waits for the old ones to end, and one that is lost wants its successor to know of it, or is awaited.
  if (isRecreate && tally.stopping > 0) return undefined
  if (missing === 0) return nothing
  if (tally.replaceable > 0) return undefined
  const one = { replaces: '', revision }
  return { ...nothing, create: Array.from({ length: missing }, () => one) }
}
