/** Every type an event can have, and how much it matters. Types may be added, never renamed: people alert on them. */

export const eventSeverities = ['info', 'warning', 'error', 'critical'] as const
export type EventSeverity = (typeof eventSeverities)[number]

const severityByType = {
  'node.enrolled': 'info',
  'node.ready': 'info',
  'node.updated': 'info',
  'node.renewed': 'info',
  'node.cordoned': 'info',
  'node.uncordoned': 'info',
  'node.draining': 'info',
  'node.drained': 'info',
  'node.drain_stuck': 'warning',
  'node.offline': 'warning',
  'node.failed': 'error',
  'node.removed': 'info',
  'node.returned': 'info',
  'node.mass_loss': 'critical',
  'node.mass_loss_over': 'info',

  'workload.created': 'info',
  'workload.updated': 'info',
  'workload.deleted': 'info',
  'workload.scaled': 'info',
  'workload.restarted': 'info',
  'workload.scheduled': 'info',
  'workload.ready': 'info',
  'workload.degraded': 'warning',
  'workload.failed': 'error',
  'workload.autoscaled': 'info',
  'workload.rebalanced': 'info',

  'rollout.started': 'info',
  'rollout.paused': 'info',
  'rollout.resumed': 'info',
  'rollout.baking': 'info',
  'rollout.promoted': 'info',
  'rollout.switched': 'info',
  'rollout.completed': 'info',
  'rollout.failed': 'error',
  'rollout.rolled_back': 'warning',

  'job.completed': 'info',
  'job.failed': 'error',
  'cron.started': 'info',
  'cron.skipped': 'warning',
  'cron.suspended': 'info',
  'cron.resumed': 'info',

  'replica.created': 'info',
  'replica.started': 'info',
  'replica.ready': 'info',
  'replica.unready': 'warning',
  'replica.restarted': 'warning',
  'replica.crash_loop': 'error',
  'replica.completed': 'info',
  'replica.failed': 'error',
  'replica.lost': 'warning',
  'replica.stopping': 'info',
  'replica.stopped': 'info',
  'replica.fenced': 'warning',
  'replica.returned': 'info',

  'scheduling.decision': 'info',
  'scheduling.reschedule': 'warning',
  'scheduling.placement_failed': 'warning',
  'scheduling.preempted': 'warning',
  'scheduling.configured': 'info',

  'security.auth_success': 'info',
  'security.auth_failed': 'warning',
  'security.authz_denied': 'warning',
  'security.cert_issued': 'info',
  'security.cert_revoked': 'warning',
  'security.policy_violation': 'warning',

  'token.created': 'info',
  'token.used': 'info',
  'token.revoked': 'info',

  'backup.made': 'info',
  'backup.failed': 'error',
  'cluster.restored': 'warning',
  'cluster.restored_behind': 'warning',

  'storage.object_created': 'info',
  'storage.object_deleted': 'info',
  'storage.repair_started': 'warning',
  'storage.repair_complete': 'info',

  'network.connection_established': 'info',
  'network.connection_failed': 'warning',
  'network.nat_traversal': 'info',

  'coordinator.started': 'info',
  'coordinator.stopped': 'info',
  'coordinator.leader_elected': 'info',
  'coordinator.leader_stepdown': 'warning',
  'coordinator.joined': 'info',
  'coordinator.promoted': 'info',
  'coordinator.removed': 'warning',
  'coordinator.recovered': 'critical',
  'coordinator.raft_snapshot': 'info',
  'coordinator.events_lost': 'error',
} as const satisfies Record<string, EventSeverity>

export type EventType = keyof typeof severityByType

export const eventTypes = Object.keys(severityByType) as readonly EventType[]

export function severityOf(type: EventType): EventSeverity {
  return severityByType[type]
}
