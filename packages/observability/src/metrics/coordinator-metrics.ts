/** Every figure a coordinator publishes. Names, labels and buckets are part of what operators build on. */
import type { Clock } from '@cloudless/base'
import { createGrpcMetrics, createProcessMetrics, type ProcessFacts } from './process-metrics.ts'
import { MetricsRegistry, type NoLabels } from './registry.ts'

type NodeLabel = { node_id: string }
type WorkloadLabels = { workload_id: string; namespace: string }
type Resource = 'cpu' | 'memory' | 'disk' | 'gpu' | 'bandwidth'

const convergenceBuckets = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60]
const recoveryBuckets = [...convergenceBuckets, 120, 300]
const schedulingBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const storeBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]

export type CoordinatorMetrics = ReturnType<typeof createCoordinatorMetrics>

export function createCoordinatorMetrics(
  deps: { readonly clock: Clock },
  facts: Omit<ProcessFacts, 'component'> = {},
) {
  const registry = new MetricsRegistry()
  createProcessMetrics(registry, deps.clock, { ...facts, component: 'coordinator' })
  return {
    grpc: createGrpcMetrics(registry),
    scheduling: createSchedulingMetrics(registry),
    membership: createMembershipMetrics(registry),
    workloads: createWorkloadMetrics(registry),
    metadata: createMetadataMetrics(registry),
    leadership: createLeadershipMetrics(registry),
    expose: () => registry.expose(),
    /** Calls `refresh` before each exposition, for figures that are read rather than counted. */
    beforeExpose: (refresh: () => void) => registry.beforeExpose(refresh),
    /** To be called when a node is removed. */
    forgetNode: (nodeId: string) => registry.forget('node_id', nodeId),
    /** To be called when a workload is deleted. */
    forgetWorkload: (workloadId: string) => registry.forget('workload_id', workloadId),
  }
}

function createSchedulingMetrics(registry: MetricsRegistry) {
  return {
    decisions: registry.counter<{ result: 'success' | 'failure' | 'no_nodes' }>({
      name: 'scheduling_decisions_total',
      help: 'Placements decided: found, failed, or no node fits.',
      labels: ['result'],
    }),
    durationSeconds: registry.histogram<{ phase: 'filter' | 'score' | 'bind' }>(
      {
        name: 'scheduling_duration_seconds',
        help: 'Time a batch of decisions took, by phase.',
        labels: ['phase'],
      },
      schedulingBuckets,
    ),
    placementScore: registry.histogram<NodeLabel>(
      {
        name: 'placement_score',
        help: 'Score of the node that was chosen, 0 to 100.',
        labels: ['node_id'],
      },
      [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
    ),
    /** `reason` is one of a fixed few words, such as "node_lost" or "drained". */
    reschedules: registry.counter<{ reason: string }>({
      name: 'rescheduling_operations_total',
      help: 'Replicas that were given another node.',
      labels: ['reason'],
    }),
    rescheduleLatencySeconds: registry.histogram<NoLabels>(
      {
        name: 'scheduler_reschedule_latency_seconds',
        help: 'From the loss of a replica to the place of its replacement.',
        labels: [],
      },
      [0.5, 1, 2, 3, 5, 10, 15, 30, 60],
    ),
    rescheduleFailures: registry.counter<{
      reason: 'insufficient_capacity' | 'constraint_violation' | 'scheduler_error'
    }>({
      name: 'scheduler_reschedule_failures_total',
      help: 'Lost replicas for which no place was found.',
      labels: ['reason'],
    }),
    preemptions: registry.counter<NoLabels>({
      name: 'scheduling_preemptions_total',
      help: 'Replicas that were stopped to make room for one of a higher priority.',
      labels: [],
    }),
    queueDepth: registry.gauge<NoLabels>({
      name: 'scheduling_queue_depth',
      help: 'Replicas waiting for a place.',
      labels: [],
    }),
  }
}

function createMembershipMetrics(registry: MetricsRegistry) {
  return {
    nodesByState: registry.gauge<{ state: string }>({
      name: 'nodes_by_state',
      help: 'Nodes in each phase.',
      labels: ['state'],
    }),
    heldNodes: registry.gauge<NoLabels>({
      name: 'membership_held_nodes',
      help: 'Lost nodes that vanished together with many others, and whose replicas are not replaced yet.',
      labels: [],
    }),
    reliabilityScore: registry.gauge<{ node_id: string; region: string; zone: string }>({
      name: 'node_reliability_score',
      help: 'How far a node can be relied on, 0 to 1.',
      labels: ['node_id', 'region', 'zone'],
    }),
    resourceCapacity: registry.gauge<{ node_id: string; resource: Resource }>({
      name: 'node_resource_capacity',
      help: 'What a node can give: cores, bytes, devices, bits per second.',
      labels: ['node_id', 'resource'],
    }),
    resourceUsage: registry.gauge<{ node_id: string; resource: Resource }>({
      name: 'node_resource_usage',
      help: 'What is used of it.',
      labels: ['node_id', 'resource'],
    }),
    fragmentUtilization: registry.gauge<NodeLabel>({
      name: 'node_fragment_utilization',
      help: 'Share of a node that is promised to replicas, 0 to 1.',
      labels: ['node_id'],
    }),
    heartbeatLatencySeconds: registry.histogram<NodeLabel>(
      {
        name: 'node_heartbeat_latency_seconds',
        help: 'How late heartbeats are.',
        labels: ['node_id'],
      },
      [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    ),
    enrollments: registry.counter<{ result: 'success' | 'failure' }>({
      name: 'node_enrollments_total',
      help: 'Nodes that asked to join.',
      labels: ['result'],
    }),
    joinConvergenceSeconds: registry.histogram<NoLabels>(
      {
        name: 'membership_join_convergence_seconds',
        help: 'From enrolment to schedulable.',
        labels: [],
      },
      convergenceBuckets,
    ),
    leaveConvergenceSeconds: registry.histogram<NoLabels>(
      {
        name: 'membership_leave_convergence_seconds',
        help: 'From the last sign of a node to its loss being known.',
        labels: [],
      },
      convergenceBuckets,
    ),
    recoverySeconds: registry.histogram<NoLabels>(
      {
        name: 'membership_node_recovery_seconds',
        help: 'From the loss of a node to its return.',
        labels: [],
      },
      recoveryBuckets,
    ),
  }
}

function createWorkloadMetrics(registry: MetricsRegistry) {
  return {
    byPhase: registry.gauge<{ phase: string; namespace: string }>({
      name: 'workloads_by_phase',
      help: 'Workloads in each phase.',
      labels: ['phase', 'namespace'],
    }),
    replicasDesired: registry.gauge<WorkloadLabels>({
      name: 'workload_replicas_desired',
      help: 'Replicas a workload should have.',
      labels: ['workload_id', 'namespace'],
    }),
    replicasRecommended: registry.gauge<WorkloadLabels>({
      name: 'workload_replicas_recommended',
      help: 'Replicas the autoscaler asks for, before its limits and windows.',
      labels: ['workload_id', 'namespace'],
    }),
    replicasReady: registry.gauge<WorkloadLabels>({
      name: 'workload_replicas_ready',
      help: 'Replicas of a workload that are ready.',
      labels: ['workload_id', 'namespace'],
    }),
    /** `reason` is one of a fixed few words. */
    restarts: registry.counter<WorkloadLabels & { reason: string }>({
      name: 'workload_replica_restarts_total',
      help: 'Containers that were started again.',
      labels: ['workload_id', 'namespace', 'reason'],
    }),
    healthCheckFailures: registry.counter<
      WorkloadLabels & { probe_type: 'startup' | 'liveness' | 'readiness' }
    >({
      name: 'workload_health_check_failures_total',
      help: 'Probes that turned from passing to failing.',
      labels: ['workload_id', 'namespace', 'probe_type'],
    }),
    creationSeconds: registry.histogram<NoLabels>(
      {
        name: 'workload_creation_duration_seconds',
        help: 'From creation to every replica ready.',
        labels: [],
      },
      [1, 2, 5, 10, 20, 30, 60, 120, 300],
    ),
    rollouts: registry.counter<{ outcome: 'completed' | 'failed' | 'rolled_back' }>({
      name: 'rollouts_total',
      help: 'Rollouts that ended: every replica ready, no progress, or taken back after that.',
      labels: ['outcome'],
    }),
    scaleOperations: registry.counter<{ direction: 'up' | 'down' }>({
      name: 'workload_scale_operations_total',
      help: 'Changes of the number of replicas.',
      labels: ['direction'],
    }),
    runningContainers: registry.gauge<NodeLabel>({
      name: 'running_containers_total',
      help: 'Containers running on a node.',
      labels: ['node_id'],
    }),
  }
}

export type MetadataOperation = 'get' | 'list' | 'transact' | 'watch' | 'lease' | 'compact'

function createMetadataMetrics(registry: MetricsRegistry) {
  return {
    operations: registry.counter<{
      operation: MetadataOperation
      result: 'success' | 'refused' | 'failure'
    }>({
      name: 'metadata_operations_total',
      help: 'Operations of the metadata store.',
      labels: ['operation', 'result'],
    }),
    durationSeconds: registry.histogram<{ operation: MetadataOperation }>(
      {
        name: 'metadata_operation_duration_seconds',
        help: 'How long they took, waiting included.',
        labels: ['operation'],
      },
      storeBuckets,
    ),
    sizeBytes: registry.gauge<NoLabels>({
      name: 'metadata_size_bytes',
      help: 'Size of the metadata store on disk.',
      labels: [],
    }),
    revision: registry.gauge<NoLabels>({
      name: 'metadata_revision',
      help: 'Newest revision of the metadata store.',
      labels: [],
    }),
  }
}

function createLeadershipMetrics(registry: MetricsRegistry) {
  return {
    elections: registry.counter<{ result: 'won' | 'lost' }>({
      name: 'coordinator_leader_elections_total',
      help: 'Elections this coordinator took part in.',
      labels: ['result'],
    }),
    isLeader: registry.gauge<NoLabels>({
      name: 'coordinator_is_leader',
      help: '1 on the coordinator that decides, 0 on the others.',
      labels: [],
    }),
  }
}
