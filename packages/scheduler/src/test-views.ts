/** Views for tests: a plain node and a plain replica, to be varied, and tables of them. */
import {
  noResources,
  type NodeView,
  type PendingReplica,
  type PlacedReplica,
  type ReplicaKind,
} from './model.ts'
import { ClusterTable } from './table/cluster-table.ts'

export const gibibyte = 2 ** 30

export function aNode(name: string, changes: Partial<NodeView> = {}): NodeView {
  return {
    id: `node-${name}`,
    name,
    region: 'home',
    zone: 'zone-a',
    phase: 'ready',
    labels: {},
    taints: [],
    allocatable: {
      cpuMillis: 4_000,
      memoryBytes: 8 * gibibyte,
      storageBytes: 100 * gibibyte,
      bandwidthBps: 1e8,
      gpuCount: 0,
    },
    gpuModels: [],
    iopsClass: 'medium',
    architecture: 'amd64',
    os: 'linux',
    policy: undefined,
    reliability: 0.8,
    memoryPressure: false,
    diskPressure: false,
    networkUnavailable: false,
    networkFeatures: [],
    hasPublicAddress: false,
    onBattery: false,
    batteryPercent: -1,
    isMetered: false,
    images: new Set(),
    ...changes,
  }
}

export function aKind(changes: Partial<ReplicaKind> = {}): ReplicaKind {
  return {
    workloadId: 'default-web',
    namespace: 'default',
    labels: { app: 'web' },
    requests: { ...noResources, cpuMillis: 500, memoryBytes: gibibyte },
    gpuModels: [],
    iopsClass: '',
    hostPorts: [],
    hostDemands: undefined,
    priority: 0,
    regions: [],
    zones: [],
    nodeSelector: {},
    nodeRequirements: [],
    affinity: [],
    antiAffinity: [],
    tolerations: [],
    topologySpread: [],
    spreadTopology: '',
    packing: 'binpack',
    weights: undefined,
    image: 'docker.io/library/web:1',
    platforms: [],
    networkFeatures: [],
    wantsPublicAddress: false,
    isDaemon: false,
    ...changes,
  }
}

export function pendingOf(
  id: string,
  kind: ReplicaKind,
  excludedNodeIds: readonly string[] = [],
): PendingReplica {
  return { id, kind, excludedNodeIds }
}

/** One of a kind of its own. */
export function aReplica(id: string, changes: Partial<ReplicaKind> = {}): PendingReplica {
  return pendingOf(id, aKind(changes))
}

/** `count` replicas of one kind. */
export function replicas(count: number, changes: Partial<ReplicaKind> = {}): PendingReplica[] {
  const kind = aKind(changes)
  return Array.from({ length: count }, (_, n) => pendingOf(`web-${n}`, kind))
}

/** On the node of that name. */
export function placed(
  id: string,
  nodeName: string,
  changes: Partial<ReplicaKind> = {},
  holding: PlacedReplica['holding'] = 'holding',
): PlacedReplica {
  return { id, nodeId: `node-${nodeName}`, kind: aKind(changes), holding }
}

export function tableOf(
  nodes: readonly NodeView[],
  replicasOnThem: readonly PlacedReplica[] = [],
): ClusterTable {
  const table = new ClusterTable()
  for (const node of nodes) table.putNode(node)
  for (const replica of replicasOnThem) table.putReplica(replica)
  return table
}
