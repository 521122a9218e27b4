/** The floor: how many ready replicas our own actions leave of a workload at least. Pure. */
import { isService, type WorkloadRecord } from '@cloudless/api'

/** What the spec says, otherwise all but max_unavailable, or but one. */
export function minAvailableOf(workload: WorkloadRecord): number {
  const { replicas, rollout } = workload.workload!.spec!
  // A daemon's nodes are as many as they are; a job has nothing that serves.
  if (!isService(workload.workload!.spec)) return rollout?.minAvailable ?? 0
  const byDefault =
    rollout && rollout.maxUnavailable > 0
      ? replicas - rollout.maxUnavailable
      : Math.max(1, replicas - 1)
  return Math.min(Math.max(0, rollout?.minAvailable ?? byDefault), replicas)
}
