/** Ways to choose a node for tasks that come one by one and stay: ours, and the plain ones to compare it with. */
import type { Random } from '@cloudless/base'
import {
  ClusterTable,
  schedule,
  type NodeView,
  type Packing,
  type ReplicaKind,
} from '@cloudless/scheduler'

/** True when the task was given a node. */
export type Placer = (task: ReplicaKind) => boolean
export type Policy = (nodes: readonly NodeView[], random: Random) => Placer

export const policies: Readonly<Record<string, Policy>> = {
  'cloudless, binpack': ours('binpack'),
  'cloudless, best_fit': ours('best_fit'),
  'best fit': baseline((task, bins) =>
    bins.reduce((best, bin) => (leftover(bin, task) < leftover(best, task) ? bin : best)),
  ),
  'first fit': baseline((_, bins) => bins[0]!),
  chance: baseline((_, bins, random) => bins[Math.floor(random.next() * bins.length)]!),
}

function ours(packing: Packing): Policy {
  return (nodes) => {
    const table = new ClusterTable()
    for (const node of nodes) table.putNode(node)
    // A kind is known by identity: one for each kind of task.
    const kinds = new Map<ReplicaKind, ReplicaKind>()
    let sequence = 0
    return (task) => {
      const kind = kinds.get(task) ?? { ...task, packing }
      kinds.set(task, kind)
      const id = `r${sequence++}`
      const [placement] = schedule(table, [{ id, kind, excludedNodeIds: [] }])
      if (placement?.kind !== 'placed') return false
      table.putReplica({ id, nodeId: placement.nodeId, kind, holding: 'holding' })
      return true
    }
  }
}

/** A node, and what is left on it. */
interface Bin {
  readonly node: NodeView
  cpuMillis: number
  memoryBytes: number
  gpuCount: number
}

/** `choose` is given the bins that have room, at least one, in the order of the nodes. */
function baseline(
  choose: (task: ReplicaKind, bins: readonly Bin[], random: Random) => Bin,
): Policy {
  return (nodes, random) => {
    const bins = nodes.map((node): Bin => ({ node, ...node.allocatable }))
    return (task) => {
      const open = bins.filter((bin) => hasRoom(bin, task))
      if (open.length === 0) return false
      const bin = choose(task, open, random)
      bin.cpuMillis -= task.requests.cpuMillis
      bin.memoryBytes -= task.requests.memoryBytes
      bin.gpuCount -= task.requests.gpuCount
      return true
    }
  }
}

function hasRoom(bin: Bin, { requests, gpuModels }: ReplicaKind): boolean {
  return (
    bin.cpuMillis >= requests.cpuMillis &&
    bin.memoryBytes >= requests.memoryBytes &&
    bin.gpuCount >= requests.gpuCount &&
    (gpuModels.length === 0 || gpuModels.some((model) => bin.node.gpuModels.includes(model)))
  )
}

/** What would be left, each resource by what a large node has of it. */
function leftover(bin: Bin, { requests }: ReplicaKind): number {
  return (
    (bin.cpuMillis - requests.cpuMillis) / 128_000 +
    (bin.memoryBytes - requests.memoryBytes) / (768 * 2 ** 30) +
    (bin.gpuCount - requests.gpuCount) / 8
  )
}
