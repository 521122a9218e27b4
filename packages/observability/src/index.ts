export { iterateWithContext, runWithContext, type Actor, type Context } from './context.ts'
export type { ClusterEvent, EventDraft } from './events/cluster-event.ts'
export type { EventFilter } from './events/event-filter.ts'
export {
  EventLog,
  type EventLogDeps,
  type EventLogOptions,
  type EventPage,
  type EventWatchOptions,
} from './events/event-log.ts'
export type { EventStore } from './events/event-store.ts'
export { eventTypes, type EventSeverity, type EventType } from './events/event-types.ts'
export type { LogLevel } from './logging/log-level.ts'
export { createLogger, type Logger, type LoggerDeps, type LoggerOptions } from './logging/logger.ts'
export { createAgentMetrics, type AgentMetrics } from './metrics/agent-metrics.ts'
export { buildFacts } from './metrics/build-facts.ts'
export {
  createCoordinatorMetrics,
  type CoordinatorMetrics,
  type MetadataOperation,
} from './metrics/coordinator-metrics.ts'
export type { GrpcMetrics, ProcessFacts } from './metrics/process-metrics.ts'
export type {
  CounterMetric,
  ExposedMetrics,
  GaugeMetric,
  HistogramMetric,
} from './metrics/registry.ts'
export {
  createObservingInterceptor,
  statusNameOf,
  type ServerInterceptorDeps,
} from './rpc/interceptors.ts'
export { readRequestIds, requestIdHeaders, type RequestIds } from './rpc/request-ids.ts'
export { createProfiler, type Profiler, type ProfileKind } from './profiling/profiler.ts'
