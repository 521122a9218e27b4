/**
 * Invariant 3: no action of ours takes a service below the ready replicas it must keep.
 *
 * What serves is counted after every change. A count that falls because a node, a container or a probe failed is nobody's
 * doing; a count that falls because a replica was told to stop is ours, and must leave enough.
 */
import {
  ReplicaState,
  RolloutStrategyKind,
  WorkloadType,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { Checker, CheckerDeps, Picture } from './checker.ts'

/** As the contract says it: the manifest's, otherwise all but max_unavailable, or all but one but never none. */
export function floorOf(workload: WorkloadRecord): number {
  const { replicas, rollout } = workload.workload!.spec!
  const maxUnavailable = rollout?.maxUnavailable ?? 0
  const byDefault = maxUnavailable > 0 ? replicas - maxUnavailable : Math.max(1, replicas - 1)
  return Math.min(replicas, Math.max(0, rollout?.minAvailable ?? byDefault))
}

export function serves(replica: ReplicaRecord | undefined): boolean {
  if (replica === undefined || replica.stopping) return false
  return replica.status!.ready && replica.status!.state !== ReplicaState.LOST
}

export function minAvailableChecker({ fail }: CheckerDeps): Checker {
  const serving = new Map<string, number>()

  function mayFall(replica: ReplicaRecord, workload: WorkloadRecord | undefined, picture: Picture) {
    if (workload === undefined || workload.deletedAtMs > 0n) return true
    const { type, rollout: { strategy } = {} } = workload.workload!.spec!
    if (type !== WorkloadType.SERVICE) return true
    if (strategy === RolloutStrategyKind.RECREATE) return true
    // A drain that was asked to ask nobody.
    const node = picture.get('node', replica.status!.nodeId)
    return node !== undefined && node.drainStartedAtMs > 0n && !node.drainGraceful
  }

  function follow({ id, before, after }: RecordChange<'replica'>, picture: Picture): void {
    const { workloadId } = (after ?? before)!.status!
    const step = Number(serves(after)) - Number(serves(before))
    const count = (serving.get(workloadId) ?? 0) + step
    if (count === 0) serving.delete(workloadId)
    else serving.set(workloadId, count)
    if (step >= 0 || !after?.stopping) return
    const workload = picture.get('workload', workloadId)
    if (mayFall(after, workload, picture)) return
    const floor = floorOf(workload!)
    if (count >= floor) return
    fail(
      `${id} was told to stop ("${after.stopReason}"), which leaves ${count} of ` +
        `${workloadId} ready; ${floor} must be`,
    )
  }

  return {
    name: 'min available',
    onChanges(changes, picture) {
      for (const change of changes) {
        if (change.kind === 'replica') follow(change as RecordChange<'replica'>, picture)
      }
    },
  }
}
