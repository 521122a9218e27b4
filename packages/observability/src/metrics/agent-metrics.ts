/** Every figure an agent publishes. Names, labels and buckets are part of what operators build on. */
import type { Clock } from '@cloudless/base'
import { createGrpcMetrics, createProcessMetrics, type ProcessFacts } from './process-metrics.ts'
import { exponentialBuckets, MetricsRegistry, type NoLabels } from './registry.ts'

type ProbeResult = 'success' | 'failure'
type ContainerProbe = { container_id: string; probe_type: 'startup' | 'liveness' | 'readiness' }
type ContainerOperation = 'pull' | 'create' | 'start' | 'stop' | 'remove' | 'exec'

export type AgentMetrics = ReturnType<typeof createAgentMetrics>

export function createAgentMetrics(
  deps: { readonly clock: Clock },
  facts: Omit<ProcessFacts, 'component'> = {},
) {
  const registry = new MetricsRegistry()
  createProcessMetrics(registry, deps.clock, { ...facts, component: 'agent' })
  return {
    grpc: createGrpcMetrics(registry),
    containers: createContainerMetrics(registry),
    probes: createProbeMetrics(registry),
    expose: () => registry.expose(),
    /** Calls `refresh` before each exposition, for figures that are read rather than counted. */
    beforeExpose: (refresh: () => void) => registry.beforeExpose(refresh),
    /** To be called when a container is removed. */
    forgetContainer: (containerId: string) => registry.forget('container_id', containerId),
  }
}

function createContainerMetrics(registry: MetricsRegistry) {
  return {
    operations: registry.counter<{ operation: ContainerOperation; result: ProbeResult }>({
      name: 'container_operations_total',
      help: 'What was asked of the container runtime.',
      labels: ['operation', 'result'],
    }),
    operationSeconds: registry.histogram<{ operation: ContainerOperation }>(
      {
        name: 'container_operation_duration_seconds',
        help: 'How long it took.',
        labels: ['operation'],
      },
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    ),
    running: registry.gauge<{ node_id: string }>({
      name: 'running_containers_total',
      help: 'Containers running here.',
      labels: ['node_id'],
    }),
    restarts: registry.counter<{ reason: 'liveness_failure' | 'manual' | 'policy' }>({
      name: 'agent_container_restarts_total',
      help: 'Containers that were started again.',
      labels: ['reason'],
    }),
    restartRateLimitHits: registry.counter<NoLabels>({
      name: 'agent_restart_rate_limit_hits_total',
      help: 'Restarts that were put off because there were too many.',
      labels: [],
    }),
  }
}

function createProbeMetrics(registry: MetricsRegistry) {
  return {
    liveness: registry.counter<{ result: ProbeResult }>({
      name: 'agent_liveness_probes_total',
      help: 'Liveness probes made.',
      labels: ['result'],
    }),
    readiness: registry.counter<{ result: ProbeResult }>({
      name: 'agent_readiness_probes_total',
      help: 'Readiness probes made.',
      labels: ['result'],
    }),
    durationSeconds: registry.histogram<{
      probe_type: ContainerProbe['probe_type']
      result: ProbeResult
    }>(
      {
        name: 'agent_probe_duration_seconds',
        help: 'How long probes took.',
        labels: ['probe_type', 'result'],
      },
      exponentialBuckets(0.001, 2, 10),
    ),
    healthStatus: registry.gauge<ContainerProbe>({
      name: 'agent_container_health_status',
      help: '1 while the probe passes, 0 while it does not.',
      labels: ['container_id', 'probe_type'],
    }),
    consecutiveFailures: registry.gauge<ContainerProbe>({
      name: 'agent_probe_consecutive_failures',
      help: 'Failures in a row.',
      labels: ['container_id', 'probe_type'],
    }),
  }
}
