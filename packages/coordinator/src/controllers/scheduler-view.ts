/** The cluster as the scheduler sees it: plain values made from records, kept until something of a node changes. */
import {
  NodePhase,
  type NodeRecord,
  type Port,
  type ReplicaRecord,
  type ResourceCapacity,
  AffinityType,
  type Affinity as AffinityMessage,
} from '@cloudless/api'
import {
  noResources,
  type Affinity,
  type NodePhase as ViewPhase,
  type NodeView,
  type PendingReplica,
  type Resources,
  type SelectorOperator,
  type TaintEffect,
} from '@cloudless/scheduler'
import { enumName } from '../state/enum-names.ts'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'

export interface SchedulerViewDeps {
  readonly state: ClusterState
  readonly liveNodes: LiveNodes
  readonly reliability: (nodeId: string) => number
}

export class SchedulerView {
  readonly #deps: SchedulerViewDeps
  readonly #views = new Map<string, NodeView>()

  constructor(deps: SchedulerViewDeps) {
    this.#deps = deps
  }

  nodes(): NodeView[] {
    const views: NodeView[] = []
    for (const { id, record } of this.#deps.state.all('node')) {
      let view = this.#views.get(id)
      if (!view) {
        view = this.#viewOf(record)
        this.#views.set(id, view)
      }
      views.push(view)
    }
    return views
  }

  node(nodeId: string): NodeView | undefined {
    const record = this.#deps.state.get('node', nodeId)
    return record && (this.#views.get(nodeId) ?? this.#viewOf(record))
  }

  /** Forgets what was made of the nodes these changes concern. */
  invalidate(changes: readonly RecordChange[]): void {
    for (const { kind, id, before, after } of changes) {
      if (kind === 'node') this.#views.delete(id)
      if (kind !== 'replica') continue
      for (const record of [before, after] as (ReplicaRecord | undefined)[]) {
        if (record?.status!.nodeId) this.#views.delete(record.status!.nodeId)
      }
    }
  }

  /** Pressure, reliability: what is not on record. */
  invalidateNode(nodeId: string): void {
    this.#views.delete(nodeId)
  }

  #viewOf(record: NodeRecord): NodeView {
    const node = record.node!
    const replicas = this.#deps.state.replicasOnNode(node.id).map((held) => held.record)
    const conditions = this.#deps.liveNodes.get(node.id)?.conditions ?? []
    const isTrue = (type: string): boolean =>
      conditions.some((c) => c.type === type && c.status === 'True')
    return {
      id: node.id,
      name: node.name,
      region: node.region,
      zone: node.zone,
      phase: enumName(NodePhase, node.status!.phase).toLowerCase() as ViewPhase,
      labels: node.labels,
      taints: node.taints.map(({ key, value, effect }) => ({
        key,
        value,
        effect: effect as TaintEffect,
      })),
      allocatable: resourcesOf(node.allocatable),
      reserved: sumOf(replicas.map((r) => resourcesOf(r.status!.resources))),
      gpuModels: node.capacity?.gpuModels ?? [],
      iopsClass: node.capacity?.iopsClass ?? 'unknown',
      architecture: node.capabilities?.architecture ?? '',
      os: node.capabilities?.os ?? '',
      reliability: this.#deps.reliability(node.id),
      memoryPressure: isTrue('MemoryPressure'),
      diskPressure: isTrue('DiskPressure'),
      networkUnavailable: isTrue('NetworkUnavailable'),
      hostPorts: new Set(replicas.flatMap((r) => hostPortsOf(r.status!.ports))),
      replicas: replicas
        .filter((r) => !r.stopping)
        .map((r) => ({
          id: r.status!.id,
          workloadId: r.status!.workloadId,
          labels: r.labels,
        })),
    }
  }
}

export function resourcesOf(capacity: ResourceCapacity | undefined): Resources {
  if (!capacity) return noResources
  return {
    cpuMillis: capacity.cpuMillicores,
    memoryBytes: Number(capacity.memoryBytes),
    storageBytes: Number(capacity.storageBytes),
    bandwidthBps: Number(capacity.bandwidthBps),
    gpuCount: capacity.gpuCount,
  }
}

export function sumOf(all: readonly Resources[]): Resources {
  const sum = { ...noResources } as { -readonly [K in keyof Resources]: number }
  for (const one of all) {
    for (const key of Object.keys(sum) as (keyof Resources)[]) sum[key] += one[key]
  }
  return sum
}

/** `excludedNodeIds`: where it must not go, such as the node it is being moved from. */
export function pendingReplicaOf(
  record: ReplicaRecord,
  excludedNodeIds: readonly string[],
): PendingReplica {
  const status = record.status!
  const spec = record.spec!
  const placement = spec.placement
  const requests = spec.resources?.requests
  return {
    id: status.id,
    workloadId: status.workloadId,
    namespace: status.namespace,
    labels: record.labels,
    requests: resourcesOf(requests),
    gpuModels: requests?.gpuModels ?? [],
    iopsClass: requests?.iopsClass ?? '',
    hostPorts: hostPortsOf(spec.ports),
    priority: spec.priority,
    regions: placement?.regions ?? [],
    zones: placement?.zones ?? [],
    nodeSelector: placement?.nodeSelector ?? {},
    nodeRequirements: (placement?.nodeRequirements ?? []).map(({ key, operator, values }) => ({
      key,
      operator: operator as SelectorOperator,
      values,
    })),
    affinity: (placement?.affinity ?? []).map(affinityOf),
    antiAffinity: (placement?.antiAffinity ?? []).map(affinityOf),
    tolerations: (placement?.tolerations ?? []).map(({ key, operator, value, effect }) => ({
      key,
      operator: operator === 'Exists' ? 'Exists' : 'Equal',
      value,
      effect: effect === '' ? undefined : (effect as TaintEffect),
    })),
    spreadTopology: spreadTopologyOf(placement?.spreadTopology ?? ''),
    excludedNodeIds,
  }
}

/** Over zones unless the spec says otherwise: all replicas packed onto one node would all go with it. */
function spreadTopologyOf(wish: string): PendingReplica['spreadTopology'] {
  if (wish === 'none') return ''
  return wish === '' ? 'zone' : (wish as PendingReplica['spreadTopology'])
}

function affinityOf(affinity: AffinityMessage): Affinity {
  return {
    subject: affinity.type === AffinityType.WORKLOAD ? 'workload' : 'node',
    matchLabels: affinity.matchLabels,
    topologyKey: affinity.topologyKey || 'node',
    required: affinity.required,
    weight: affinity.weight || 1,
  }
}

function hostPortsOf(ports: readonly Port[]): string[] {
  return ports
    .filter((port) => port.hostPort > 0)
    .map((port) => `${port.hostPort}/${port.protocol || 'TCP'}`)
}
