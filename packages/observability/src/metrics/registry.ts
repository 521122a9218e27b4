/**
 * The metrics of one process, with their labels checked by the compiler.
 *
 * No label takes unbounded values: those that name a thing (a node, a workload, a container) are forgotten with it, and
 * a metric that nevertheless reaches `seriesMax` takes no new series, but counts them.
 */
import { assert } from '@cloudless/base'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type Labels = Readonly<Record<string, string>>
export type NoLabels = Readonly<Record<never, string>>

export interface CounterMetric<L extends Labels> {
  increment(labels: L, by?: number): void
}

export interface GaugeMetric<L extends Labels> {
  set(labels: L, value: number): void
  /** Replaces every series of the metric: what is not listed is gone. */
  replace(series: readonly (readonly [labels: L, value: number])[]): void
}

export interface HistogramMetric<L extends Labels> {
  observe(labels: L, value: number): void
}

/** Every label's name, each once: the compiler has no list of them at run time. */
type LabelNames<L extends Labels> = readonly (keyof L & string)[]

export interface MetricText<L extends Labels> {
  /** Without the prefix. */
  readonly name: string
  readonly help: string
  readonly labels: LabelNames<L>
}

export interface ExposedMetrics {
  readonly contentType: string
  readonly body: string
}

const prefix = 'cloudless_'
const seriesMax = 20_000

interface Family {
  readonly series: Map<string, Labels>
  readonly remove: (labels: Labels) => void
}

export class MetricsRegistry {
  readonly #registry = new Registry()
  readonly #families: Family[] = []
  readonly #refreshes: (() => void)[] = []
  readonly #refused = new Counter({
    name: `${prefix}metrics_series_refused_total`,
    help: 'Series that were not made because their metric has too many.',
    registers: [this.#registry],
  })

  counter<L extends Labels>(text: MetricText<L>): CounterMetric<L> {
    const metric = new Counter(this.#configurationOf(text))
    const admit = this.#family(text.labels, (labels) => metric.remove(labels))
    if (text.labels.length === 0) metric.inc(0)
    return {
      increment(labels, by = 1) {
        assert(by >= 0, `${text.name} only grows, and was to grow by ${by}`)
        if (admit(labels)) metric.inc(labels, by)
      },
    }
  }

  gauge<L extends Labels>(text: MetricText<L>): GaugeMetric<L> {
    const metric = new Gauge(this.#configurationOf(text))
    const admit = this.#family(text.labels, (labels) => metric.remove(labels))
    const family = this.#families.at(-1)!
    const keyOf = keyBy(text.labels)
    const set = (labels: L, value: number): void => {
      if (admit(labels)) metric.set(labels, value)
    }
    return {
      set,
      replace(series) {
        const keys = new Set(series.map(([labels]) => keyOf(labels)))
        for (const [key, labels] of family.series) {
          if (keys.has(key)) continue
          family.series.delete(key)
          family.remove(labels)
        }
        for (const [labels, value] of series) set(labels, value)
      },
    }
  }

  /** `buckets` are upper bounds, rising. */
  histogram<L extends Labels>(text: MetricText<L>, buckets: readonly number[]): HistogramMetric<L> {
    const metric = new Histogram({ ...this.#configurationOf(text), buckets: [...buckets] })
    const admit = this.#family(text.labels, (labels) => metric.remove(labels))
    return {
      observe(labels, value) {
        if (admit(labels)) metric.observe(labels, value)
      },
    }
  }

  /** Drops every series that has this value for this label: the thing it names is gone. */
  forget(label: string, value: string): void {
    for (const family of this.#families) {
      for (const [key, labels] of family.series) {
        if (labels[label] !== value) continue
        family.series.delete(key)
        family.remove(labels)
      }
    }
  }

  /** For figures that are read rather than counted: called before each exposition. */
  beforeExpose(refresh: () => void): void {
    this.#refreshes.push(refresh)
  }

  /** In Prometheus' text format. */
  async expose(): Promise<ExposedMetrics> {
    for (const refresh of this.#refreshes) refresh()
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() }
  }

  #configurationOf<L extends Labels>(text: MetricText<L>) {
    return {
      name: prefix + text.name,
      help: text.help,
      labelNames: [...text.labels] as string[],
      registers: [this.#registry],
    }
  }

  /** The returned function tells whether a series with these labels exists or may be made. */
  #family(names: readonly string[], remove: (labels: Labels) => void): (labels: Labels) => boolean {
    const keyOf = keyBy(names)
    const series = new Map<string, Labels>()
    this.#families.push({ series, remove })
    return (labels) => {
      const key = keyOf(labels)
      if (series.has(key)) return true
      if (series.size >= seriesMax) {
        this.#refused.inc()
        return false
      }
      series.set(key, labels)
      return true
    }
  }
}

/** A series' key: the values of its labels, in their order. Made for every figure of every call, so it must be cheap. */
function keyBy(names: readonly string[]): (labels: Labels) => string {
  const [first, ...others] = names
  if (first === undefined) return () => ''
  if (others.length === 0) return (labels) => labels[first]!
  return (labels) => names.map((name) => labels[name]).join('\u0000')
}

/** `count` bounds from `start`, each `factor` times the one before. */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => Number((start * factor ** n).toPrecision(6)))
}
