/** Samples what the node and its containers use every few seconds. One sample at a time; a slow one delays the next. */
import { readFile, statfs } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import { ResourceUsageSchema, type ResourceCapacity, type ResourceUsage } from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import type { ContainerUsage, Runtime } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'
import type { CapacityOverrides, UsedResources } from './capacity.ts'
import { parseBytesSent, parseCpuTimes, parseMemoryUsed, type CpuTimes } from './proc-files.ts'

export interface UsageSamplerDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  readonly runtime: Pick<Runtime, 'usage'>
}

export interface UsageSamplerOptions {
  readonly dataDirectory: string
  readonly capacity: ResourceCapacity
  /** A node that was told to have less than its machine counts what its own containers use. */
  readonly overrides: CapacityOverrides
  /** 5,000 when not given. */
  readonly periodMs?: number
  readonly onSample: (sample: UsageSample) => void
}

export interface UsageSample {
  readonly used: UsedResources
  readonly containers: readonly ContainerUsage[]
}

export class UsageSampler {
  readonly #deps: UsageSamplerDeps
  readonly #options: UsageSamplerOptions
  #cancel: () => void = () => {}
  #closed = false
  #cpu: CpuTimes = { busy: 0, total: 0 }
  #sent: { readonly bytes: number; readonly atMs: number } | undefined
  #ownCpu: { readonly usedUs: number; readonly atMs: number } | undefined
  #newest: UsageSample | undefined

  constructor(deps: UsageSamplerDeps, options: UsageSamplerOptions) {
    this.#deps = deps
    this.#options = options
  }

  get newest(): UsageSample | undefined {
    return this.#newest
  }

  /** Takes the first sample now. */
  start(): void {
    void this.#tick()
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  async #tick(): Promise<void> {
    try {
      this.#newest = await this.#sample()
      if (!this.#closed) this.#options.onSample(this.#newest)
    } catch (reason) {
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.debug({ code }, `cannot sample what is in use: ${message}`)
    }
    if (this.#closed) return
    this.#cancel = this.#deps.clock.after(this.#options.periodMs ?? 5_000, () => void this.#tick())
  }

  async #sample(): Promise<UsageSample> {
    const { dataDirectory, overrides } = this.#options
    const [containers, stat, meminfo, netDev, disk] = await Promise.all([
      this.#deps.runtime.usage().catch(() => []), // The supervisor says that the runtime is away.
      readFile('/proc/stat', 'utf8'),
      readFile('/proc/meminfo', 'utf8'),
      readFile('/proc/net/dev', 'utf8'),
      statfs(dataDirectory),
    ])
    const sum = (pick: (usage: ContainerUsage) => number): number =>
      containers.reduce((total, usage) => total + pick(usage), 0)
    const machineCpu = this.#machineCpu(parseCpuTimes(stat))
    const ownCpu = this.#ownMillicores()
    const used = {
      cpuMillicores:
        overrides.cpuCores > 0 ? sum((usage) => usage.cpuMillicores) + ownCpu : machineCpu,
      memoryBytes:
        overrides.memoryMb > 0
          ? sum((usage) => usage.memoryBytes) + process.memoryUsage.rss()
          : parseMemoryUsed(meminfo),
      storageBytes:
        overrides.storageGb > 0
          ? sum((usage) => usage.storageBytes)
          : (disk.blocks - disk.bfree) * disk.bsize,
      bandwidthBps: this.#bandwidth(parseBytesSent(netDev, isUplink)),
    }
    return { used, containers }
  }

  #machineCpu(times: CpuTimes): number {
    const before = this.#cpu
    this.#cpu = times
    const total = times.total - before.total
    if (before.total === 0 || total <= 0) return 0
    const share = (times.busy - before.busy) / total
    return Math.round(share * this.#options.capacity.cpuMillicores)
  }

  #ownMillicores(): number {
    const { user, system } = process.cpuUsage()
    const now = { usedUs: user + system, atMs: this.#deps.clock.monotonicMs() }
    const before = this.#ownCpu
    this.#ownCpu = now
    if (before === undefined || now.atMs <= before.atMs) return 0
    return Math.round((now.usedUs - before.usedUs) / (now.atMs - before.atMs))
  }

  #bandwidth(bytes: number): number {
    const now = { bytes, atMs: this.#deps.clock.monotonicMs() }
    const before = this.#sent
    this.#sent = now
    if (before === undefined || now.atMs <= before.atMs || bytes < before.bytes) return 0
    return Math.round(((bytes - before.bytes) * 8_000) / (now.atMs - before.atMs))
  }
}

export function usageMessage(used: UsedResources): ResourceUsage {
  return create(ResourceUsageSchema, {
    cpuMillicores: used.cpuMillicores,
    memoryBytes: BigInt(Math.round(used.memoryBytes)),
    storageBytes: BigInt(Math.round(used.storageBytes)),
    bandwidthBps: BigInt(used.bandwidthBps),
  })
}

/** Not the loopback, bridges and the ends of container links, which carry the same bytes again. */
function isUplink(name: string): boolean {
  return !/^(lo|veth|docker|br-|cni|cloudless|virbr)/.test(name)
}
