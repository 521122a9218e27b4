/** The ready replicas of a workload, against what must stay available of it. */
import type { WorkloadRecord } from '@cloudless/api'
import { isLost, minAvailableOf } from '../controllers/plan-workload.ts'
import type { ClusterState } from '../state/cluster-state.ts'

/** Ids of those that are ready and not on their way out. */
export function readyReplicaIds(state: ClusterState, workloadId: string): string[] {
  return state
    .replicasOfWorkload(workloadId)
    .filter(({ record }) => record.status!.ready && !record.stopping && !isLost(record))
    .map(({ id }) => id)
}

/** How many may go before it has fewer than its min_available. Of a workload that is being deleted: all. */
export function spareReplicas(state: ClusterState, workloadId: string): number {
  const ready = readyReplicaIds(state, workloadId).length
  const workload = state.get('workload', workloadId)
  return Math.max(0, ready - minimumOf(workload))
}

/** 0 of what is gone or going. */
export function minimumOf(workload: WorkloadRecord | undefined): number {
  return workload === undefined || workload.deletedAtMs > 0n ? 0 : minAvailableOf(workload)
}
