/** What is said and counted of one replica's changes. */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import type { CoordinatorMetrics, EventLog, EventType } from '@cloudless/observability'

export type SayOfReplica = (
  replica: ReplicaRecord,
  type: EventType,
  what: string,
  metadata?: Readonly<Record<string, string>>,
) => void

export function sayOfReplicas(events: EventLog): SayOfReplica {
  return (replica, type, what, metadata = {}) => {
    const { id, workloadId, workloadName, namespace, nodeId } = replica.status!
    events.append({
      type,
      resourceType: 'replica',
      resourceId: id,
      namespace,
      description: `replica ${id} of "${workloadName}" ${what}`,
      metadata: {
        workload_id: workloadId,
        ...(nodeId === '' ? {} : { node_id: nodeId }),
        ...metadata,
      },
    })
  }
}

/** `after` is undefined when the replica was forgotten. */
export function sayTransition(
  say: SayOfReplica,
  before: ReplicaRecord,
  after: ReplicaRecord | undefined,
): void {
  if (after === undefined) {
    say(before, 'replica.stopped', `is gone from node "${before.status!.nodeName}"`)
    return
  }
  const [old, now] = [before.status!, after.status!]
  if (now.state === ReplicaState.RUNNING && old.state !== ReplicaState.RUNNING) {
    say(after, 'replica.started', `runs on node "${now.nodeName}"`)
  }
  if (!now.ready && old.ready && now.state === ReplicaState.RUNNING) {
    say(after, 'replica.unready', `is not ready any more: ${now.message}`)
  }
  if (now.state !== old.state && now.state === ReplicaState.STOPPED) {
    say(after, 'replica.completed', 'has done its work (exit code 0)')
  }
  if (now.state !== old.state && now.state === ReplicaState.LOST) {
    say(after, 'replica.lost', `was lost with node "${now.nodeName}"`)
  }
  if (now.ready && !old.ready) say(after, 'replica.ready', `is ready at ${now.address}`)
  if (now.restartCount > old.restartCount) {
    say(after, 'replica.restarted', `was restarted (${now.restartCount} so far): ${now.message}`)
  }
  if (now.state !== old.state && now.state === ReplicaState.FAILED) {
    say(after, 'replica.failed', `has given up: ${now.message}`)
  }
  const isWaiting = now.state === ReplicaState.STARTING && now.reason.endsWith('BackOff')
  if (isWaiting && old.reason !== now.reason) {
    const isCrash = now.reason === 'CrashLoopBackOff'
    const type = isCrash ? 'replica.crash_loop' : 'replica.unready'
    say(after, type, `waits (${now.reason}): ${now.message}`)
  }
}

/** Reasons that are counted by themselves; all others together. */
const countedReasons = [
  'OOMKilled',
  'ProbeFailed',
  'Error',
  'Completed',
  'EphemeralStorageExceeded',
]

export function countRestarts(
  metrics: CoordinatorMetrics,
  before: ReplicaRecord,
  after: ReplicaRecord | undefined,
): void {
  const restarts = (after?.status!.restartCount ?? 0) - before.status!.restartCount
  if (after === undefined || restarts <= 0) return
  const { reason } = after.status!
  metrics.workloads.restarts.increment(
    { ...workloadLabels(after), reason: countedReasons.includes(reason) ? reason : 'other' },
    restarts,
  )
}

export function workloadLabels(replica: ReplicaRecord): { workload_id: string; namespace: string } {
  const { workloadId, namespace } = replica.status!
  return { workload_id: workloadId, namespace }
}
