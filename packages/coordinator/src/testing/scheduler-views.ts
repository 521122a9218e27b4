/** For tests: what the scheduler sees of a small home, without records behind it. */
import {
  ClusterTable,
  noResources,
  type NodeView,
  type PendingReplica,
  type ReplicaKind,
} from '@cloudless/scheduler'

const mebibyte = 2 ** 20

/** A board in its own zone, with 4 cores and 4 GiB. */
export function nodeView(name: string, changes: Partial<NodeView> = {}): NodeView {
  return {
    id: `node-${name}`,
    name,
    region: 'home',
    zone: `zone-${name}`,
    phase: 'ready',
    labels: {},
    taints: [],
    allocatable: {
      cpuMillis: 4_000,
      memoryBytes: 4_096 * mebibyte,
      storageBytes: 10_240 * mebibyte,
      bandwidthBps: 100_000_000,
      gpuCount: 0,
    },
    gpuModels: [],
    iopsClass: 'medium',
    architecture: 'arm64',
    os: 'linux',
    reliability: 0.9,
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

/** Of workload "default-web", asking for 500 m and 512 MiB, kept apart over zones. */
export function replicaKind(changes: Partial<ReplicaKind> = {}): ReplicaKind {
  return {
    workloadId: 'default-web',
    namespace: 'default',
    labels: {},
    requests: { ...noResources, cpuMillis: 500, memoryBytes: 512 * mebibyte },
    gpuModels: [],
    iopsClass: '',
    hostPorts: [],
    priority: 0,
    regions: [],
    zones: [],
    nodeSelector: {},
    nodeRequirements: [],
    affinity: [],
    antiAffinity: [],
    tolerations: [],
    topologySpread: [],
    spreadTopology: 'zone',
    packing: 'binpack',
    weights: undefined,
    image: 'docker.io/library/web:1',
    platforms: [],
    networkFeatures: [],
    wantsPublicAddress: false,
    ...changes,
  }
}

export function tableOf(...nodes: NodeView[]): ClusterTable {
  const table = new ClusterTable()
  for (const node of nodes) table.putNode(node)
  return table
}

/** `count` of one kind, named "web-0" and on. */
export function pendingOf(kind: ReplicaKind, count: number): PendingReplica[] {
  return Array.from({ length: count }, (_, n) => ({ id: `web-${n}`, kind, excludedNodeIds: [] }))
}
