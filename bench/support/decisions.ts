/** A cluster of unlike nodes with work on them, and kinds of replicas without end to decide for. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { seededRandom, systemClock, type Random } from '@cloudless/base'
import {
  ClusterTable,
  noResources,
  schedule,
  type NodeView,
  type ReplicaKind,
} from '@cloudless/scheduler'
import { benchKind, benchNode, gibibyte } from './scheduler-views.ts'

const regions = 5
const zones = 30
const applications = 200
const nodesPerWorkload = 5
const replicasPerWorkload = 20
/** Decisions between two looks at the buffers: few, so that none is given back in between. */
const windowSize = 50

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** By one decision. */
export interface Allocated {
  readonly heapBytes: number
  /** Typed arrays, which are not on the heap. */
  readonly bufferBytes: number
}

export class Decisions {
  readonly #table = new ClusterTable()
  readonly #random: Random = seededRandom(2026)
  #replicas = 0
  #kinds = 0

  /** Every node has about four replicas at first, of workloads with twenty each. */
  constructor(nodeCount: number) {
    for (let number = 0; number < nodeCount; number++) this.#table.putNode(this.#node(number))
    for (let workload = 0; workload < nodeCount / nodesPerWorkload; workload++) {
      const kind = this.newKind()
      for (let n = 0; n < replicasPerWorkload; n++) this.#put(kind, `n${this.#below(nodeCount)}`)
    }
  }

  /** Milliseconds of each decision. */
  time(count: number, kindOf: (decision: number) => ReplicaKind): readonly number[] {
    const tookMs: number[] = []
    for (let decision = 0; decision < count; decision++) {
      const kind = kindOf(decision)
      const pending = [{ id: `new-${this.#replicas}`, kind, excludedNodeIds: [] }]
      const startedMs = systemClock.monotonicMs()
      const [placement] = schedule(this.#table, pending)
      tookMs.push(systemClock.monotonicMs() - startedMs)
      if (placement?.kind !== 'placed') throw new Error(`no room for ${JSON.stringify(kind)}`)
      this.#put(kind, placement.nodeId)
    }
    return tookMs
  }

  /** Of decisions for kinds never seen before, with putting each on the table. */
  allocated(count: number): Allocated {
    const kinds = Array.from({ length: count }, () => this.newKind())
    const heapBefore = getHeapStatistics().total_allocated_bytes
    let bufferBytes = 0
    for (let first = 0; first < count; first += windowSize) {
      collectGarbage()
      const before = process.memoryUsage().arrayBuffers
      this.time(windowSize, (decision) => kinds[first + decision]!)
      bufferBytes += Math.max(0, process.memoryUsage().arrayBuffers - before)
    }
    const heapBytes = getHeapStatistics().total_allocated_bytes - heapBefore
    return { heapBytes: heapBytes / count, bufferBytes: bufferBytes / count }
  }

  /** A third each: plain; with affinity, anti-affinity and spread; for tainted nodes with GPUs. */
  newKind(): ReplicaKind {
    const number = this.#kinds++
    const app = `app${number % applications}`
    const requests = {
      ...noResources,
      cpuMillis: 20 + this.#below(100),
      memoryBytes: (32 + this.#below(100)) * 2 ** 20,
    }
    const base = { labels: { app }, requests, spreadTopology: 'zone' } as const
    if (number % 3 === 0) return benchKind(`w${number}`, base)
    if (number % 3 === 1) return benchKind(`w${number}`, { ...base, ...companionship(number, app) })
    return benchKind(`w${number}`, {
      ...base,
      requests: { ...requests, gpuCount: number % 9 === 2 ? 1 : 0 },
      gpuModels: ['a100', 't4'],
      tolerations: [{ key: 'gpu', operator: 'Exists', value: '', effect: undefined }],
    })
  }

  #put(kind: ReplicaKind, nodeId: string): void {
    const id = `r${this.#replicas++}`
    this.#table.putReplica({ id, nodeId, kind, holding: 'holding' })
  }

  /** One in five has GPUs, and a taint that keeps others away. */
  #node(number: number): NodeView {
    const hasGpus = number % 5 === 0
    return benchNode(`n${number}`, {
      zone: `z${number % zones}`,
      region: `r${number % regions}`,
      labels: { disk: number % 3 === 0 ? 'hdd' : 'ssd', tier: `${number % 7}` },
      taints: hasGpus ? [{ key: 'gpu', value: 'true', effect: 'NoSchedule' }] : [],
      allocatable: {
        cpuMillis: 8_000 + 1_000 * (number % 25),
        memoryBytes: (16 + (number % 49)) * gibibyte,
        storageBytes: 500 * gibibyte,
        bandwidthBps: 1e9,
        gpuCount: hasGpus ? 8 : 0,
      },
      gpuModels: hasGpus ? [number % 2 === 0 ? 'a100' : 't4'] : [],
      reliability: 0.5 + (number % 50) / 100,
      hasPublicAddress: number % 4 === 0,
    })
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }
}

/** Near another application if it can be, never twice on a node, level over the zones. */
function companionship(
  number: number,
  app: string,
): Pick<ReplicaKind, 'affinity' | 'antiAffinity' | 'topologySpread'> {
  const near = { app: `app${(number + 3) % applications}` }
  const subject = 'workload'
  return {
    affinity: [{ subject, matchLabels: near, topologyKey: 'zone', required: false, weight: 50 }],
    antiAffinity: [
      {
        subject,
        matchLabels: { app, own: `w${number}` },
        topologyKey: 'node',
        required: true,
        weight: 1,
      },
    ],
    topologySpread: [
      { topologyKey: 'zone', maxSkew: 1, minDomains: 0, required: true, matchLabels: {} },
    ],
  }
}
