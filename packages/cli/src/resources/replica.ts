import {
  ReplicaState,
  ReplicaStateSchema,
  ReplicaStatusSchema,
  type PendingReason,
  type ReplicaStatus,
} from '@cloudless/api'
import { age, enumLabel, orDash } from './format.ts'
import type { Resource } from './resource.ts'

export function replicaState(replica: ReplicaStatus): string {
  return enumLabel(ReplicaStateSchema, replica.state)
}

/** Why it is not running, for people: "0 of 3 nodes: 2 not enough memory, 1 tainted". Empty when there is nothing to say. */
export function replicaExplanation(replica: ReplicaStatus): string {
  if (replica.nodeId === '' && replica.pendingReasons.length > 0) {
    return pendingSentence(replica.pendingReasons)
  }
  if (replica.reason === '') return replica.message
  return replica.message === '' ? replica.reason : `${replica.reason}: ${replica.message}`
}

/** "0 of 3 nodes: 2 not enough memory, 1 tainted"; empty without reasons. */
export function pendingSentence(reasons: readonly PendingReason[]): string {
  if (reasons.length === 0) return ''
  const total = reasons.reduce((sum, { nodeCount }) => sum + nodeCount, 0)
  const counts = reasons.map(({ reason, nodeCount }) => `${nodeCount} ${reason}`)
  return `0 of ${total === 1 ? '1 node' : `${total} nodes`}: ${counts.join(', ')}`
}

/** Whether it is ready; and where it is, but clients are not sent to it, that. */
export function replicaReadiness({ ready, serving, state }: ReplicaStatus): string {
  if (!ready) return 'no'
  return serving || state === ReplicaState.STOPPING ? 'yes' : 'yes, no clients'
}

/** Where people reach it: its address with each port, or the address alone. */
export function replicaAddresses(replica: ReplicaStatus): string {
  if (replica.address === '') return ''
  if (replica.ports.length === 0) return replica.address
  return replica.ports.map((port) => `${replica.address}:${port.containerPort}`).join(',')
}

export const replicaResource: Resource<typeof ReplicaStatusSchema> = {
  singular: 'replica',
  plural: 'replicas',
  schema: ReplicaStatusSchema,
  nameOf: (replica) => replica.id,
  columns: [
    { title: 'REPLICA', value: (replica) => replica.id },
    { title: 'WORKLOAD', wide: true, value: (replica) => replica.workloadName },
    { title: 'NAMESPACE', wide: true, value: (replica) => replica.namespace },
    { title: 'NODE', value: (replica) => orDash(replica.nodeName || replica.nodeId) },
    { title: 'STATE', value: replicaState },
    { title: 'READY', value: replicaReadiness },
    { title: 'RESTARTS', value: (replica) => String(replica.restartCount) },
    { title: 'ADDRESS', value: (replica) => orDash(replicaAddresses(replica)) },
    { title: 'AGE', value: (replica, nowMs) => age(replica.createdAtMs, nowMs) },
    { title: 'REVISION', wide: true, value: (replica) => String(replica.revision) },
    { title: 'SCORE', wide: true, value: (replica) => replica.score.toFixed(3) },
    { title: 'MESSAGE', value: (replica) => orDash(replicaExplanation(replica)) },
  ],
}
