/** What the running containers use, from the kernel's own files. */
import type { Clock } from '@cloudless/base'
import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerdClient } from '../containerd/client.ts'
import type { ContainerStore, KnownContainer } from '../container/container-store.ts'
import { rotatedPath } from '../logs/log-writer.ts'
import { snapshotter } from '../options.ts'
import type { ContainerUsage } from '../runtime.ts'
import { parseNetworkDevices } from './cgroup-files.ts'
import type { CgroupTree } from './cgroup-tree.ts'

export interface UsageParts {
  readonly clock: Clock
  readonly client: ContainerdClient
  readonly store: ContainerStore
  readonly cgroups: CgroupTree
  readonly logFilesMax: number
}

interface CpuSample {
  readonly totalUs: number
  readonly atMs: number
}

/** Measuring storage walks directories: no oftener than this, and spread over the containers. */
const storageAgeMs = 30_000
/** A volume with more files than this is not walked to its end; it counts as what was seen. */
const filesMax = 20_000

export class UsageReader {
  readonly #parts: UsageParts
  readonly #cpu = new Map<string, CpuSample>()
  readonly #storage = new Map<string, { readonly bytes: number; readonly atMs: number }>()

  constructor(parts: UsageParts) {
    this.#parts = parts
  }

  /** The CPU's millicores are the mean since the last call; 0 in a container's first. */
  async read(): Promise<readonly ContainerUsage[]> {
    const running = (await this.#parts.store.list()).filter(({ info }) => info.state === 'running')
    const ids = new Set(running.map(({ info }) => info.containerId))
    for (const map of [this.#cpu, this.#storage]) {
      for (const id of map.keys()) if (!ids.has(id)) map.delete(id)
    }
    const usages: ContainerUsage[] = []
    // One after another: each is a handful of reads of /sys and /proc, and nobody waits for them.
    for (const known of running) {
      const usage = await this.#usageOf(known)
      if (usage !== undefined) usages.push(usage)
    }
    return usages
  }

  async #usageOf({ info, labels }: KnownContainer): Promise<ContainerUsage | undefined> {
    const { containerId, replicaId } = info
    const usage = await this.#parts.cgroups.usageOf(labels.cgroupPath)
    // Ended since it was listed.
    if (usage === undefined) return undefined
    const readAtMs = this.#parts.clock.monotonicMs()
    const devices = await readFile(`/proc/${info.pid}/net/dev`, 'utf8').catch(() => '')
    const network = parseNetworkDevices(devices)
    return {
      containerId,
      replicaId,
      readAtMs,
      ...usage,
      cpuMillicores: this.#millicores(containerId, { totalUs: usage.cpuTotalUs, atMs: readAtMs }),
      storageBytes: await this.#storageOf(containerId, labels.logPath, labels.volumeDirectory),
      networkReceivedBytes: network.received,
      networkSentBytes: network.sent,
    }
  }

  #millicores(containerId: string, now: CpuSample): number {
    const before = this.#cpu.get(containerId)
    this.#cpu.set(containerId, now)
    return before === undefined ? 0 : millicoresBetween(before, now)
  }

  async #storageOf(containerId: string, logPath: string, volumes: string): Promise<number> {
    const nowMs = this.#parts.clock.monotonicMs()
    const known = this.#storage.get(containerId)
    if (known !== undefined && nowMs - known.atMs < storageAgeMs) return known.bytes
    const layer = await this.#parts.client.snapshots
      .usage({ snapshotter, key: containerId })
      .then(({ size }) => Number(size))
      // Removed meanwhile.
      .catch(() => 0)
    const logs = await Promise.all(
      Array.from({ length: this.#parts.logFilesMax }, (_, n) =>
        bytesOnDisk(rotatedPath(logPath, n)),
      ),
    )
    const bytes = layer + logs.reduce((sum, one) => sum + one, 0) + (await bytesBelow(volumes))
    this.#storage.set(containerId, { bytes, atMs: nowMs })
    return bytes
  }
}

export function millicoresBetween(before: CpuSample, after: CpuSample): number {
  const elapsedMs = after.atMs - before.atMs
  // A counter that went back is another cgroup's: the container was started again.
  if (elapsedMs <= 0 || after.totalUs < before.totalUs) return 0
  return Math.round((after.totalUs - before.totalUs) / elapsedMs)
}

async function bytesOnDisk(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined)
  return found === undefined ? 0 : found.blocks * 512
}

async function bytesBelow(directory: string): Promise<number> {
  if (directory === '') return 0
  const waiting = [directory]
  let bytes = 0
  let files = 0
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      if (++files > filesMax) return bytes
      const child = join(path, entry.name)
      if (entry.isDirectory()) waiting.push(child)
      bytes += await bytesOnDisk(child)
    }
  }
  return bytes
}
