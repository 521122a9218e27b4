/** Views for tests: a plain node and a plain replica, to be varied. */
import { noResources, type NodeView, type PendingReplica } from './model.ts'

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
    reserved: noResources,
    gpuModels: [],
    iopsClass: 'medium',
    architecture: 'amd64',
    os: 'linux',
    reliability: 0.8,
    memoryPressure: false,
    diskPressure: false,
    networkUnavailable: false,
    hostPorts: new Set(),
    replicas: [],
    ...changes,
  }
}

export function aReplica(id: string, changes: Partial<PendingReplica> = {}): PendingReplica {
  return {
    id,
    workloadId: 'default-web',
    namespace: 'default',
    labels: { app: 'web' },
    requests: { ...noResources, cpuMillis: 500, memoryBytes: gibibyte },
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
    spreadTopology: '',
    excludedNodeIds: [],
    ...changes,
  }
}

/** `count` replicas that differ in their id alone. */
export function replicas(count: number, changes: Partial<PendingReplica> = {}): PendingReplica[] {
  return Array.from({ length: count }, (_, n) => aReplica(`web-${n}`, changes))
}
