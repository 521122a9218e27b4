/** What every process of ours tells of itself and of the calls it serves. */
import { version, type Clock } from '@cloudless/base'
import type { CounterMetric, HistogramMetric, MetricsRegistry } from './registry.ts'

export interface ProcessFacts {
  readonly component: 'coordinator' | 'agent'
  /** "unknown" when not given. */
  readonly buildTime?: string
  readonly gitCommit?: string
}

export interface GrpcMetrics {
  /** `method` is "package.Service/Method" of a method that exists; `code` a gRPC status such as "NOT_FOUND". */
  readonly requests: CounterMetric<{ method: string; code: string }>
  readonly durationSeconds: HistogramMetric<{ method: string }>
  readonly messagesReceived: CounterMetric<{ method: string }>
  readonly messagesSent: CounterMetric<{ method: string }>
}

const defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export function createProcessMetrics(
  registry: MetricsRegistry,
  clock: Clock,
  facts: ProcessFacts,
): void {
  const startedMs = clock.monotonicMs()
  registry
    .gauge<{ version: string; build_time: string; git_commit: string }>({
      name: 'system_info',
      help: 'Always 1; the labels say what runs.',
      labels: ['version', 'build_time', 'git_commit'],
    })
    .set(
      {
        version,
        build_time: facts.buildTime ?? 'unknown',
        git_commit: facts.gitCommit ?? 'unknown',
      },
      1,
    )
  const uptime = registry.gauge<{ component: string }>({
    name: 'uptime_seconds',
    help: 'Time since the process started.',
    labels: ['component'],
  })
  const setUptime = (): void =>
    uptime.set({ component: facts.component }, (clock.monotonicMs() - startedMs) / 1_000)
  setUptime()
  registry.beforeExpose(setUptime)
  registry.beforeExpose(() => residentMemory.set({}, process.memoryUsage.rss()))
  const residentMemory = registry.gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process in RAM.',
    labels: [],
  })
  const processor = registry.gauge({
    name: 'process_cpu_seconds',
    help: 'Processor time the process has used.',
    labels: [],
  })
  registry.beforeExpose(() => {
    const { user, system } = process.cpuUsage()
    processor.set({}, (user + system) / 1e6)
  })
}

export function createGrpcMetrics(registry: MetricsRegistry): GrpcMetrics {
  return {
    requests: registry.counter({
      name: 'grpc_requests_total',
      help: 'Calls that ended.',
      labels: ['method', 'code'],
    }),
    durationSeconds: registry.histogram(
      {
        name: 'grpc_request_duration_seconds',
        help: 'From the first byte of a call to its end; streams as long as they are open.',
        labels: ['method'],
      },
      defaultBuckets,
    ),
    messagesReceived: registry.counter({
      name: 'grpc_stream_messages_received_total',
      help: 'Messages received on streams.',
      labels: ['method'],
    }),
    messagesSent: registry.counter({
      name: 'grpc_stream_messages_sent_total',
      help: 'Messages sent on streams.',
      labels: ['method'],
    }),
  }
}
