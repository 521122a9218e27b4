/** Nodes and kinds of replicas for benches of the scheduler alone: plain ones, to be varied. */
import { noResources, type NodeView, type ReplicaKind } from '@cloudless/scheduler'

export const gibibyte = 2 ** 30
const images: ReadonlySet<string> = new Set()

export function benchNode(name: string, changes: Partial<NodeView>): NodeView {
  return {
    id: name,
    name,
    region: 'home',
    zone: 'home',
    phase: 'ready',
    labels: {},
    taints: [],
    allocatable: noResources,
    gpuModels: [],
    iopsClass: 'high',
    architecture: 'amd64',
    os: 'linux',
    policy: undefined,
    reliability: 0.9,
    memoryPressure: false,
    diskPressure: false,
    networkUnavailable: false,
    networkFeatures: [],
    hasPublicAddress: false,
    onBattery: false,
    batteryPercent: -1,
    isMetered: false,
    images,
    ...changes,
  }
}

export function benchKind(workloadId: string, changes: Partial<ReplicaKind>): ReplicaKind {
  return {
    workloadId,
    namespace: 'default',
    labels: {},
    requests: noResources,
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
    image: 'registry.example/app:1',
    platforms: [],
    networkFeatures: [],
    wantsPublicAddress: false,
    isDaemon: false,
    ...changes,
  }
}
