/** The replicas of a workload that serve, against what must stay available of it. */
import { isLost } from '../controllers/plan-workload.ts'
import { rolloutOf } from '../controllers/rollout-quota.ts'
import { isServing } from '../controllers/serving.ts'
import { minimumOf } from '../controllers/spare-replicas.ts'
import type { ClusterState } from '../state/cluster-state.ts'

/** Ids of those that are ready, not on their way out, and of a revision that takes clients. */
export function readyReplicaIds(state: ClusterState, workloadId: string): string[] {
  const workload = state.get('workload', workloadId)
  const rollout = workload && rolloutOf(workload)
  return state
    .replicasOfWorkload(workloadId)
    .filter(({ record }) => isServing(record, rollout))
    .map(({ id }) => id)
}

/** How many may be stopped before it has fewer ready than its min_available; with a minimum of 0, all that are live. */
export function spareReplicas(state: ClusterState, workloadId: string): number {
  const minimum = minimumOf(state.get('workload', workloadId))
  if (minimum > 0) return Math.max(0, readyReplicaIds(state, workloadId).length - minimum)
  const all = state.replicasOfWorkload(workloadId)
  return all.filter(({ record }) => !record.stopping && !isLost(record)).length
}
