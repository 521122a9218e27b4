/**
 * The virtual resource network: what all nodes have together, and what of it is promised, used and free; of the cluster,
 * each region, zone and node. Pure.
 *
 * Lost nodes do not count. What is free is what new replicas could get, so nodes that take none have nothing free.
 */
import { create } from '@bufbuild/protobuf'
import {
  PoolShareSchema,
  ResourcePoolSchema,
  ResourceUsageSchema,
  type PoolShare,
  type ResourcePool,
  type ResourceUsage,
} from '@cloudless/api'
import type { Resources } from '@cloudless/scheduler'
import { sumOf } from '../controllers/replica-kinds.ts'
import { asInt32, asInt64, capacityOf } from './node-view.ts'

export interface PooledNode {
  readonly name: string
  readonly region: string
  readonly zone: string
  /** It takes new replicas. */
  readonly isReady: boolean
  readonly capacity: Resources
  readonly allocatable: Resources
  readonly reserved: Resources
  /** Undefined until it is heard from. */
  readonly usage: ResourceUsage | undefined
  /** By the name of their status. */
  readonly fragments: Readonly<Record<string, number>>
}

export interface Overcommit {
  readonly cpuOvercommit: number
  readonly memoryOvercommit: number
}

/** A piece of free capacity below this is of no use to most replicas. */
const usefulCpuMillis = 250
const usefulMemoryBytes = 256 * 1024 ** 2

/** Nodes in an answer: a message may have 4 MiB. The totals count all. */
const nodesMax = 10_000

/** `nodes` are those in the cluster that are not lost. */
export function resourcePoolOf(nodes: readonly PooledNode[], overcommit: Overcommit): ResourcePool {
  const grouped = (nameOf: (node: PooledNode) => string): PoolShare[] =>
    [...Map.groupBy(nodes, nameOf)]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, members]) => shareOf(name, members, overcommit))
  return create(ResourcePoolSchema, {
    cluster: shareOf('cluster', nodes, overcommit),
    regions: grouped((node) => node.region),
    zones: grouped((node) => [node.region, node.zone].filter(Boolean).join('/')),
    nodes: grouped((node) => node.name).slice(0, nodesMax),
    ...overcommit,
  })
}

function shareOf(name: string, nodes: readonly PooledNode[], overcommit: Overcommit): PoolShare {
  const ready = nodes.filter((node) => node.isReady)
  const free = ready.map((node) => freeOn(node, overcommit))
  return create(PoolShareSchema, {
    name,
    nodes: nodes.length,
    nodesReady: ready.length,
    capacity: capacityOf(sumOf(nodes.map((node) => node.capacity))),
    allocatable: capacityOf(sumOf(nodes.map((node) => node.allocatable))),
    reserved: capacityOf(sumOf(nodes.map((node) => node.reserved))),
    free: capacityOf(sumOf(free)),
    used: usageOf(nodes),
    fragments: fragmentCounts(nodes),
    fragmentation: fragmentationOf(free),
  })
}

/** Never below nothing: a node whose allocatable shrank may have promised more than it has. */
export function freeOn(node: PooledNode, overcommit: Overcommit): Resources {
  const { allocatable, reserved } = node
  const left = (amount: number, promised: number): number => Math.max(0, amount - promised)
  const cpuMillis = Math.floor(allocatable.cpuMillis * overcommit.cpuOvercommit)
  const memoryBytes = Math.floor(allocatable.memoryBytes * overcommit.memoryOvercommit)
  return {
    cpuMillis: left(cpuMillis, reserved.cpuMillis),
    memoryBytes: left(memoryBytes, reserved.memoryBytes),
    storageBytes: left(allocatable.storageBytes, reserved.storageBytes),
    bandwidthBps: left(allocatable.bandwidthBps, reserved.bandwidthBps),
    gpuCount: left(allocatable.gpuCount, reserved.gpuCount),
  }
}

/**
 * 0 to 1: the mean over CPU and memory of the share of what is free that lies on nodes with too little left of either. 0
 * when nothing is free.
 */
export function fragmentationOf(free: readonly Resources[]): number {
  const wasted = free.filter(
    (node) => node.cpuMillis < usefulCpuMillis || node.memoryBytes < usefulMemoryBytes,
  )
  const [total, lost] = [sumOf(free), sumOf(wasted)]
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
  const cpu = share(lost.cpuMillis, total.cpuMillis)
  const memory = share(lost.memoryBytes, total.memoryBytes)
  return (cpu + memory) / 2
}

function usageOf(nodes: readonly PooledNode[]): ResourceUsage {
  const total = create(ResourceUsageSchema)
  for (const { usage } of nodes) {
    if (usage === undefined) continue
    total.cpuMillicores = asInt32(total.cpuMillicores + usage.cpuMillicores)
    total.memoryBytes = asInt64(total.memoryBytes + usage.memoryBytes)
    total.storageBytes = asInt64(total.storageBytes + usage.storageBytes)
    total.bandwidthBps = asInt64(total.bandwidthBps + usage.bandwidthBps)
    total.gpuCount = asInt32(total.gpuCount + usage.gpuCount)
  }
  return total
}

function fragmentCounts(nodes: readonly PooledNode[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { fragments } of nodes) {
    for (const [status, count] of Object.entries(fragments)) {
      counts[status] = (counts[status] ?? 0) + count
    }
  }
  return counts
}
