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

/** All do, but for BLUE_GREEN: there it is everything but the new ones until the switch, and they alone from then on. */
function takesClients({ rollout }: WorkloadRecord, revision: bigint): boolean {
  if (rollout === undefined) return true
  if (rollout.idleRevisions.includes(revision)) return false
  const { strategy, fromRevision, switched } = rollout
  if (strategy !== RolloutStrategyKind.BLUE_GREEN || fromRevision === 0n) return true
  return switched === (revision === rollout.revision)
}

export function minAvailableChecker({ fail }: CheckerDeps): Checker {
  /** Of each workload, those that are ready and are to go on: by id, their revisions. */
  const readyByWorkload = new Map<string, Map<string, bigint>>()

  function follow({ id, before, after }: RecordChange<'replica'>, picture: Picture): void {
    const { workloadId, revision } = (after ?? before)!.status!
    const ready = readyByWorkload.get(workloadId) ?? new Map<string, bigint>()
    readyByWorkload.set(workloadId, ready)
    if (serves(after)) ready.set(id, revision)
    else ready.delete(id)
    if (ready.size === 0) readyByWorkload.delete(workloadId)
    const isOurDoing = serves(before) && after?.stopping
    if (!isOurDoing) return
    const workload = picture.get('workload', workloadId)
    if (workload === undefined || mayFall(after, workload, picture)) return
    const serving = [...ready.values()].filter((of) => takesClients(workload, of)).length
    const floor = floorOf(workload)
    if (serving >= floor) return
    fail(
      `${id} was told to stop ("${after.stopReason}"), which leaves ${serving} of ` +
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

function mayFall(replica: ReplicaRecord, workload: WorkloadRecord, picture: Picture): boolean {
  if (workload.deletedAtMs > 0n) return true
  const { type, rollout: { strategy } = {} } = workload.workload!.spec!
  if (type !== WorkloadType.SERVICE || strategy === RolloutStrategyKind.RECREATE) return true
  if (!takesClients(workload, replica.status!.revision)) return true
  // A drain that was asked to ask nobody, or nobody any more after its deadline.
  const node = picture.get('node', replica.status!.nodeId)
  if (node === undefined || node.drainStartedAtMs === 0n) return false
  return !node.drainGraceful || node.drainForce
}
