/** The ready replicas of a workload, against what must stay available of it. */
import { isLost } from '../controllers/plan-workload.ts'
import { isServing, minimumOf } from '../controllers/spare-replicas.ts'
import type { ClusterState } from '../state/cluster-state.ts'

/** Ids of those that are ready and not on their way out. */
export function readyReplicaIds(state: ClusterState, workloadId: string): string[] {
  return state
    .replicasOfWorkload(workloadId)
    .filter(({ record }) => isServing(record))
    .map(({ id }) => id)
}

/** How many may be stopped before it has fewer ready than its min_available; with a minimum of 0, all that are live. */
export function spareReplicas(state: ClusterState, workloadId: string): number {
  const minimum = minimumOf(state.get('workload', workloadId))
  if (minimum > 0) return Math.max(0, readyReplicaIds(state, workloadId).length - minimum)
  const all = state.replicasOfWorkload(workloadId)
  return all.filter(({ record }) => !record.stopping && !isLost(record)).length
}
