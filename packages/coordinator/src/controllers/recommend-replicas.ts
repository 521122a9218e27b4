/**
 * How many replicas a workload should have for what its replicas use and tell of themselves. Pure.
 *
 * The rule is the one known from elsewhere: as many as bring the mean to its target, which is the sum over the target.
 * Of several metrics the one that asks for most decides.
 *
 * Invariants
 *   1. A mean within a tenth of its target asks for no change.
 *   2. What is not known asks for no change: a ready replica that tells nothing counts as idle when the others ask for
 *      more, and as being at the target when they ask for fewer. A metric that nobody tells keeps the number from
 *      shrinking; when no metric is told there is no recommendation.
 *
 * Only ready replicas count: one that starts is busy with itself. So a number that follows from too few of them is not
 * taken for a reason to shrink while the others are over the target, nor to grow while they are under it.
 */
import type { Autoscaling, AutoscalingMetric, WorkloadSpec } from '@cloudless/api'

/** What is known of one ready replica. */
export interface ReadyReplica {
  /** It was made from this; its requests may differ from those of the workload's newest spec. */
  readonly spec: WorkloadSpec
  /** Undefined when it has told nothing lately. */
  readonly usage: ReplicaReading | undefined
}

export interface ReplicaReading {
  readonly cpuMillicores: number
  readonly memoryBytes: number
  /** By name; rates of counters. */
  readonly metrics: Readonly<Record<string, number>>
}

export interface MetricReading {
  /** "cpu", "memory" or the custom metric's own. */
  readonly name: string
  /** Mean of those that told it; 0 when nobody did. */
  readonly value: number
  readonly target: number
  /** How many told it. */
  readonly replicas: number
}

export interface Recommendation {
  /** Before the limits of the spec. Undefined when no metric is told: all stays as it is. */
  readonly replicas: number | undefined
  /** In the order of the spec's metrics. */
  readonly readings: readonly MetricReading[]
  /** For people: which figure decides, and what is missing. */
  readonly message: string
}

/** A mean this near to its target, as a share of it, is at its target. */
const tolerance = 0.1
/** What sums of fractions are off by must not cost a replica. */
const roundingSlack = 1e-9
/** More than any workload may have; what an absurd figure asks for ends here. */
const replicasMax = 1_000_000

/** `current` is how many replicas are wanted now. */
export function recommendReplicas(
  autoscaling: Autoscaling,
  current: number,
  ready: readonly ReadyReplica[],
): Recommendation {
  const wishes = autoscaling.metrics.map((metric) => wishOf(metric, current, ready))
  const readings = wishes.map(({ reading }) => reading)
  const known = wishes.filter(({ reading }) => reading.replicas > 0)
  const missing = sayMissing(wishes, ready.length)
  if (known.length === 0) return { replicas: undefined, readings, message: missing }
  const highest = known.reduce((most, wish) => (wish.replicas > most.replicas ? wish : most))
  const isAllKnown = known.length === wishes.length
  const replicas = isAllKnown ? highest.replicas : Math.max(current, highest.replicas)
  const deciding = sayDeciding(highest, ready.length)
  return { replicas, readings, message: missing ? `${deciding}; ${missing}` : deciding }
}

/** What one metric asks for. */
interface Wish {
  readonly replicas: number
  readonly reading: MetricReading
  readonly isCustom: boolean
}

function wishOf(metric: AutoscalingMetric, current: number, ready: readonly ReadyReplica[]): Wish {
  const isCustom = metric.type === 'custom'
  const name = isCustom ? metric.name : metric.type
  const target = isCustom ? metric.targetValue : metric.targetPercent
  const values = ready.flatMap((replica) => valueOf(metric, replica) ?? [])
  const sum = values.reduce((total, value) => total + value, 0)
  const value = values.length === 0 ? 0 : sum / values.length
  const reading = { name, value, target, replicas: values.length }
  const missing = ready.length - values.length
  const replicas =
    values.length === 0 ? current : wanted({ sum, target, missing }, current, ready.length)
  return { replicas, reading, isCustom }
}

/** Undefined when it is not known. */
function valueOf(
  { type, name }: AutoscalingMetric,
  { spec, usage }: ReadyReplica,
): number | undefined {
  if (usage === undefined) return undefined
  const { requests } = spec.resources ?? {}
  switch (type) {
    case 'cpu':
      return percentOf(usage.cpuMillicores, requests?.cpuMillicores ?? 0)
    case 'memory':
      return percentOf(usage.memoryBytes, Number(requests?.memoryBytes ?? 0n))
    default:
      return Object.hasOwn(usage.metrics, name) ? usage.metrics[name] : undefined
  }
}

/** One that was made without a request, before the workload had one, has nothing to be measured against. */
function percentOf(used: number, requested: number): number | undefined {
  return requested > 0 ? (used / requested) * 100 : undefined
}

interface Told {
  readonly sum: number
  readonly target: number
  /** Ready replicas that did not tell it. */
  readonly missing: number
}

function wanted({ sum, target, missing }: Told, current: number, ready: number): number {
  const told = ready - missing
  const isOver = sum > told * target
  const counted = isOver ? sum : sum + missing * target
  if (Math.abs(counted / (ready * target) - 1) <= tolerance + roundingSlack) return current
  const asked = Math.ceil(counted / target - roundingSlack)
  const replicas = Math.max(0, Math.min(asked, replicasMax))
  return isOver ? Math.max(current, replicas) : Math.min(current, replicas)
}

// --- in words

function sayDeciding({ reading, isCustom }: Wish, ready: number): string {
  const { name, value, target, replicas } = reading
  const unit = isCustom ? '' : ' %'
  return (
    `${name} is ${figure(value)}${unit} of ${figure(target)}${unit} wanted, ` +
    `the mean of ${replicas} of ${ready} ready`
  )
}

function sayMissing(wishes: readonly Wish[], ready: number): string {
  const names = wishes.filter(({ reading }) => reading.replicas === 0).map((w) => w.reading.name)
  if (names.length === 0) return ''
  const who = ready === 0 ? 'no replica is ready to tell' : 'no ready replica tells'
  return `${who} ${names.join(', ')}`
}

/** With as many digits as say something. */
function figure(value: number): string {
  return String(Number(value.toPrecision(3)))
}
