/** Autoscaling as people read it. */
import { isService, type Autoscaling, type AutoscalingMetric, type Workload } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { facts } from '../output/sheet.ts'
import { formatColumns } from '../output/table.ts'
import { age } from './format.ts'

/** "3", or "3 (2-10)" when it may be from 2 to 10; "-" of what has no replicas of its own. */
export function replicasText({ spec }: Workload): string {
  if (!isService(spec)) return '-'
  const replicas = String(spec?.replicas ?? 0)
  const { autoscaling } = spec ?? {}
  if (autoscaling === undefined) return replicas
  return `${replicas} (${autoscaling.minReplicas}-${autoscaling.maxReplicas})`
}

/** What `describe` says of it; empty for a workload that is not autoscaled. */
export function autoscalingText({ spec, status }: Workload, nowMs: number): string {
  const autoscaling = spec?.autoscaling
  if (autoscaling === undefined) return ''
  const { recommended, lastScaledAtMs = 0n, message = '' } = status?.autoscaling ?? {}
  const scaled = age(lastScaledAtMs, nowMs)
  return (
    facts([
      ['Range', `${autoscaling.minReplicas} to ${autoscaling.maxReplicas} replicas`],
      ['Asked for', recommended === undefined ? '' : String(recommended)],
      ['Last scaled', scaled === '-' ? 'never' : `${scaled} ago`],
      ['Windows', windowsText(autoscaling)],
      ['Message', message],
    ]) +
    formatColumns([
      ['METRIC', 'MEAN', 'TARGET', 'TOLD BY'],
      ...autoscaling.metrics.map((metric) =>
        readingRow(metric, status?.autoscaling?.readings ?? []),
      ),
    ])
  )
}

function windowsText({ scaleUpStabilizationMs, scaleDownStabilizationMs }: Autoscaling): string {
  const [up, down] = [scaleUpStabilizationMs, scaleDownStabilizationMs].map((ms) =>
    ms ? `after ${formatDurationMs(Number(ms))}` : 'at once',
  )
  return `grows ${up}, shrinks ${down}`
}

interface Reading {
  readonly name: string
  readonly value: number
  readonly replicas: number
}

function readingRow(metric: AutoscalingMetric, readings: readonly Reading[]): string[] {
  const isCustom = metric.type === 'custom'
  const name = isCustom ? metric.name : metric.type
  const figure = (value: number): string => `${Number(value.toPrecision(3))}${isCustom ? '' : '%'}`
  const reading = readings.find((one) => one.name === name)
  const target = figure(isCustom ? metric.targetValue : metric.targetPercent)
  if (reading === undefined || reading.replicas === 0) return [name, '-', target, 'nobody']
  const { replicas, value } = reading
  return [name, figure(value), target, replicas === 1 ? '1 replica' : `${replicas} replicas`]
}
