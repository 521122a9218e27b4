/** Rules and defaults of what makes the number of replicas follow their use, and of where replicas tell figures. */
import {
  WorkloadType,
  type Autoscaling,
  type AutoscalingMetric,
  type MetricsEndpoint,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { quoted, type ProblemList } from './problem.ts'

export const autoscalingMetricTypes = ['cpu', 'memory', 'custom'] as const
export const scaleDownStabilizationMsDefault = 300_000

const replicasMax = 100_000
const metricsMax = 10
const targetPercentMax = 1_000
const stabilizationMsMax = 3_600_000
const metricNamesMax = 8
const metricNameCharactersMax = 256
const pathCharactersMax = 1_024
/** Prometheus' grammar of metric names. */
const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

/** Fills in what is left open, in place, and brings the number of replicas within the limits. */
export function fillAutoscaling(spec: WorkloadSpec): void {
  const { autoscaling, metrics } = spec
  if (metrics !== undefined) metrics.path ||= '/metrics'
  if (autoscaling === undefined) return
  autoscaling.minReplicas ||= 1
  autoscaling.scaleUpStabilizationMs ??= 0n
  autoscaling.scaleDownStabilizationMs ??= BigInt(scaleDownStabilizationMsDefault)
  spec.replicas = withinAutoscaling(spec, spec.replicas)
}

/**
 * The number nearest to `replicas` that the limits allow; without autoscaling it is `replicas`. What the rollout keeps
 * available is a limit too: fewer replicas than that would be unavailability of our own making.
 */
export function withinAutoscaling(
  { autoscaling, rollout }: Pick<WorkloadSpec, 'autoscaling' | 'rollout'>,
  replicas: number,
): number {
  if (autoscaling === undefined) return replicas
  const { minReplicas, maxReplicas } = autoscaling
  const availableMin = Math.min(rollout?.minAvailable ?? 0, maxReplicas)
  return Math.max(minReplicas || 1, availableMin, Math.min(maxReplicas, replicas))
}

/** The fewest replicas the workload has when all is well. */
export function fewestReplicasOf({ autoscaling, replicas }: WorkloadSpec): number {
  return autoscaling === undefined ? replicas : autoscaling.minReplicas || 1
}

/** `problems` are of the spec, which says what the metrics are measured against. */
export function validateAutoscaling(spec: WorkloadSpec, problems: ProblemList): void {
  if (spec.metrics !== undefined) validateMetrics(spec.metrics, problems.at('metrics'))
  if (spec.autoscaling === undefined) return
  const at = problems.at('autoscaling')
  if (spec.type !== WorkloadType.UNSPECIFIED && spec.type !== WorkloadType.SERVICE) {
    at.add('is only for services: a workload of another type counts its replicas in its own way')
  }
  validateRange(spec.autoscaling, at)
  validateAvailable(spec, problems.at('rollout', 'minAvailable'))
  const { metrics } = spec.autoscaling
  if (metrics.length === 0) at.at('metrics').add('must have at least one element')
  if (metrics.length > metricsMax) at.at('metrics').add(`must have at most ${metricsMax} elements`)
  for (const [index, metric] of metrics.slice(0, metricsMax).entries()) {
    validateMetric(metric, spec, at.at('metrics', index))
  }
  at.at('metrics').unique(metrics, ({ type, name }) => `${type} ${name}`.trim(), 'metric')
}

function validateRange(autoscaling: Autoscaling, problems: ProblemList): void {
  const { minReplicas, maxReplicas } = autoscaling
  problems.at('minReplicas').integer(minReplicas, { min: 0, max: replicasMax })
  problems.at('maxReplicas').integer(maxReplicas, { min: 1, max: replicasMax })
  if (maxReplicas >= 1 && maxReplicas < minReplicas) {
    problems.at('maxReplicas').add(`must be at least min_replicas: ${maxReplicas} < ${minReplicas}`)
  }
  for (const name of ['scaleUpStabilizationMs', 'scaleDownStabilizationMs'] as const) {
    problems.at(name).integer(autoscaling[name] ?? 0n, { min: 0, max: stabilizationMsMax })
  }
}

/** Not that many could ever be there. */
function validateAvailable({ autoscaling, rollout }: WorkloadSpec, problems: ProblemList): void {
  const { maxReplicas } = autoscaling!
  const minAvailable = rollout?.minAvailable ?? 0
  if (maxReplicas < 1 || minAvailable <= maxReplicas) return
  problems.add(`must be at most autoscaling.max_replicas: ${minAvailable} > ${maxReplicas}`)
}

function validateMetric(
  metric: AutoscalingMetric,
  spec: WorkloadSpec,
  problems: ProblemList,
): void {
  const { type, name, targetPercent, targetValue } = metric
  problems.at('type').oneOf(type, autoscalingMetricTypes)
  if (type === 'custom') {
    const told = spec.metrics?.names ?? []
    if (!told.includes(name)) {
      problems.at('name').add(`must be one of spec.metrics.names, not ${quoted(name)}`)
    }
    if (!(targetValue > 0 && Number.isFinite(targetValue))) {
      problems.at('targetValue').add(`must be a number above 0, not ${targetValue}`)
    }
    return
  }
  if (name !== '') problems.at('name').add('must be empty, except for custom')
  problems.at('targetPercent').integer(targetPercent, { min: 1, max: targetPercentMax })
  const field = ({ cpu: 'cpuMillicores', memory: 'memoryBytes' } as const)[type]
  if (field === undefined) return
  const { requests, limits } = spec.resources ?? {}
  if (requests?.[field] || limits?.[field]) return
  problems.add(`needs a request of ${type} to measure against: set spec.resources.requests.${type}`)
}

function validateMetrics(metrics: MetricsEndpoint, problems: ProblemList): void {
  const { port, path, names } = metrics
  problems.at('port').integer(port, { min: 1, max: 65_535 })
  if (path !== '') {
    if (!/^\/[\x21-\x7e]*$/.test(path)) {
      problems.at('path').add(`must begin with "/" and hold no spaces, not ${quoted(path)}`)
    }
    if (path.length > pathCharactersMax) {
      problems.at('path').add(`must have at most ${pathCharactersMax} characters`)
    }
  }
  const at = problems.at('names')
  if (names.length === 0 || names.length > metricNamesMax) {
    at.add(`must have from 1 to ${metricNamesMax} elements, not ${names.length}`)
  }
  for (const [index, name] of names.slice(0, metricNamesMax).entries()) {
    if (name.length > metricNameCharactersMax) {
      at.at(index).add(`must have at most ${metricNameCharactersMax} characters`)
    } else if (!metricName.test(name)) {
      at.at(index).add(`must be a metric's name such as "http_requests_total", not ${quoted(name)}`)
    }
  }
  at.unique(names, (name) => name, 'name')
}
