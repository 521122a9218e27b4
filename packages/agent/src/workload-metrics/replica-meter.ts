/**
 * What the replicas of this node use, and what they tell of themselves: gathered with every sample of the runtime, and told
 * with the next heartbeats.
 *
 * Scraping goes on beside both and delays neither. Of a replica at most one scrape is under way or waits; one that hangs
 * is given up by its deadline, and what was scraped before is told until it is too old.
 */
import { create } from '@bufbuild/protobuf'
import { ReplicaUsageSchema, type MetricsEndpoint, type ReplicaUsage } from '@cloudless/api'
import { CloudlessError, Semaphore, type Clock } from '@cloudless/base'
import type { ContainerUsage } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'
import type { ReplicaMachine } from '../replica/replica-state.ts'
import { CounterRates } from './counter-rates.ts'
import { scrape } from './scrape.ts'

export interface ReplicaMeterDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  readonly supervisor: {
    find(replicaId: string): MeteredReplica | undefined
  }
}

export interface MeteredReplica {
  readonly options: { readonly adHoc: boolean }
  readonly state: Pick<ReplicaMachine, 'stage' | 'address' | 'startedMonotonicMs' | 'assignment'>
}

/** Of one heartbeat; what is left goes with the next. */
export const usagesPerHeartbeatMax = 500
/** Scrapes under way at the same time. */
const scrapesMax = 16
/** What was scraped longer ago is not told any more. */
const figuresAgeMsMax = 15_000
/** After so many failures in a row it is said, once. */
const failuresUntilSaid = 3

/** Of one run of a replica's container. */
interface Meter {
  readonly startedMonotonicMs: number
  readonly rates: CounterRates
  /** What the mean CPU is reckoned from: the sample that was told last. */
  told: ContainerUsage
  newest: ContainerUsage
  figures: Readonly<Record<string, number>>
  figuresAtMs: number
  isScraped: boolean
  failuresInRow: number
}

export class ReplicaMeter {
  readonly #deps: ReplicaMeterDeps
  readonly #meters = new Map<string, Meter>()
  /** Replicas with a sample that was not told; the longest waiting first. */
  readonly #untold = new Set<string>()
  readonly #scrapes = new Semaphore(scrapesMax)
  readonly #closing = new AbortController()

  constructor(deps: ReplicaMeterDeps) {
    this.#deps = deps
  }

  /** The runtime was asked: all containers that run. */
  sampled(containers: readonly ContainerUsage[]): void {
    const seen = new Set<string>()
    for (const usage of containers) {
      const replica = this.#deps.supervisor.find(usage.replicaId)
      if (replica?.state.stage !== 'running' || replica.options.adHoc) continue
      seen.add(usage.replicaId)
      const meter = this.#note(usage, replica.state.startedMonotonicMs)
      const endpoint = replica.state.assignment.spec?.metrics
      if (endpoint) void this.#scrape(usage.replicaId, meter, replica.state.address, endpoint)
    }
    for (const replicaId of this.#meters.keys()) if (!seen.has(replicaId)) this.#forget(replicaId)
  }

  /** What a heartbeat is to tell: what is new since the last one that told of it. */
  take(): ReplicaUsage[] {
    const usages: ReplicaUsage[] = []
    for (const replicaId of this.#untold) {
      if (usages.length === usagesPerHeartbeatMax) break
      this.#untold.delete(replicaId)
      const meter = this.#meters.get(replicaId)!
      usages.push(this.#usageOf(replicaId, meter))
      meter.told = meter.newest
    }
    return usages
  }

  close(): void {
    this.#closing.abort()
  }

  #note(usage: ContainerUsage, startedMonotonicMs: number): Meter {
    const { replicaId, cpuTotalUs } = usage
    const known = this.#meters.get(replicaId)
    // A counter that went back is another run's, and so is another start.
    const isSameRun = known?.startedMonotonicMs === startedMonotonicMs
    if (known && isSameRun && cpuTotalUs >= known.newest.cpuTotalUs) {
      known.newest = usage
      // There is nothing to take a mean over between a sample and itself.
      if (usage.readAtMs > known.told.readAtMs) this.#untold.add(replicaId)
      return known
    }
    this.#untold.delete(replicaId)
    const meter: Meter = {
      startedMonotonicMs,
      rates: new CounterRates(),
      told: usage,
      newest: usage,
      figures: {},
      figuresAtMs: 0,
      isScraped: false,
      failuresInRow: 0,
    }
    this.#meters.set(replicaId, meter)
    return meter
  }

  #forget(replicaId: string): void {
    this.#meters.delete(replicaId)
    this.#untold.delete(replicaId)
  }

  #usageOf(replicaId: string, { told, newest, figures, figuresAtMs }: Meter): ReplicaUsage {
    const usedUs = newest.cpuTotalUs - told.cpuTotalUs
    const isFresh = this.#deps.clock.monotonicMs() - figuresAtMs <= figuresAgeMsMax
    return create(ReplicaUsageSchema, {
      replicaId,
      cpuMillicores: Math.round(usedUs / (newest.readAtMs - told.readAtMs)),
      memoryBytes: BigInt(Math.round(newest.memoryBytes)),
      metrics: isFresh ? { ...figures } : {},
    })
  }

  async #scrape(
    replicaId: string,
    meter: Meter,
    address: string,
    endpoint: MetricsEndpoint,
  ): Promise<void> {
    if (meter.isScraped || address === '') return
    const { clock, logger } = this.#deps
    const { signal } = this.#closing
    meter.isScraped = true
    try {
      const sums = await this.#scrapes.run(() => scrape(clock, { address, endpoint }, signal))
      meter.figuresAtMs = clock.monotonicMs()
      meter.figures = figuresOf(sums, meter.rates, meter.figuresAtMs)
      meter.failuresInRow = 0
    } catch (reason) {
      const { code, message } = CloudlessError.from(reason)
      meter.failuresInRow++
      if (meter.failuresInRow !== failuresUntilSaid || signal.aborted) return
      const what = `cannot read the figures of ${replicaId} on port ${endpoint.port}`
      logger.warn({ code, replicaId }, `${what}${endpoint.path}: ${message}; it is tried again`)
    } finally {
      meter.isScraped = false
    }
  }
}

/** Counters are told as what they go up by a second. */
function figuresOf(
  sums: ReadonlyMap<string, number>,
  rates: CounterRates,
  atMs: number,
): Record<string, number> {
  const figures: Record<string, number> = {}
  for (const [name, sum] of sums) {
    const value = name.endsWith('_total') ? rates.rate(name, sum, atMs) : sum
    if (value !== undefined) figures[name] = value
  }
  return figures
}
