/**
 * The workloads of Kubernetes' scheduler_perf (test/integration/scheduler_perf) at 5,000 nodes, by its names, sizes and
 * published floors, in our words: a template's pods are the replicas of one workload.
 *
 * What is different: our priorities preempt from 100 on, and its 10 are our 1,000; a namespace of its is one of ours;
 * nodes have no limit on the number of replicas (its 110 pods a node are never reached); what it makes as a service, for
 * which there is nothing here, is a workload without replicas.
 */
import {
  AffinitySchema,
  AffinityType,
  defaultWorkload,
  PlacementPolicySchema,
  PortSchema,
  ResourceCapacitySchema,
  ResourceRequirementsSchema,
  RolloutStrategySchema,
  WorkloadSchema,
  WorkloadSpecSchema,
  type PlacementPolicy,
  type Workload,
} from '@cloudless/api'
import { create, type MessageInitShape } from '@bufbuild/protobuf'

/** What a template says of its pods. */
export interface Template {
  readonly cpuMillicores: number
  readonly priority?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly placement?: PlacementPolicy
  readonly graceMs?: bigint
  /** All may be preempted at once: bare pods have nothing that counts how many must stay. */
  readonly minAvailable?: number
}

export interface Group {
  readonly template: Template
  readonly replicas: number
}

export type Churn =
  /** One more of the template each time. */
  | { readonly kind: 'create'; readonly template: Template; readonly intervalMs: number }
  /** A node, a workload that fits nowhere and a service, made and deleted in turn. */
  | { readonly kind: 'recreate'; readonly template: Template; readonly intervalMs: number }

export interface PerfCase {
  readonly name: string
  /** The original's name of the size. */
  readonly size: string
  /** Placements a second that the original must reach; undefined where it publishes none. */
  readonly floor?: number
  readonly zones: readonly string[]
  readonly init?: Group
  readonly measured: Group
  readonly churn?: Churn
}

export const nodeCount = 5_000
export const zoneLabel = 'topology.kubernetes.io/zone'
export const nodeCapacity: MessageInitShape<typeof ResourceCapacitySchema> = {
  cpuMillicores: 4_000,
  memoryBytes: 32n << 30n,
  storageBytes: 1n << 40n,
  bandwidthBps: 1_000_000_000n,
}

const plain: Template = { cpuMillicores: 100 }
const lowPriority: Template = { cpuMillicores: 900, graceMs: 0n, minAvailable: 0 }
const highPriority: Template = { cpuMillicores: 3_000, priority: 1_000 }
const largeHighPriority: Template = { cpuMillicores: 9_000, priority: 1_000 }

const blue = { color: 'blue' }
const green = { color: 'green' }
const red = { color: 'red' }

function affinity(
  matchLabels: Readonly<Record<string, string>>,
  topologyKey: string,
  wish: { readonly required: boolean; readonly weight?: number },
) {
  const { required, weight = 1 } = wish
  return create(AffinitySchema, {
    type: AffinityType.WORKLOAD,
    matchLabels,
    topologyKey,
    required,
    weight,
  })
}

function spreading(required: boolean): Template {
  const topologySpread = [{ topologyKey: zoneLabel, maxSkew: 5, required, matchLabels: blue }]
  return { ...plain, labels: blue, placement: create(PlacementPolicySchema, { topologySpread }) }
}

const antiAffine: Template = {
  ...plain,
  labels: green,
  placement: create(PlacementPolicySchema, {
    antiAffinity: [affinity(green, 'node', { required: true })],
  }),
}
const affine: Template = {
  ...plain,
  labels: blue,
  placement: create(PlacementPolicySchema, {
    affinity: [affinity(blue, zoneLabel, { required: true })],
  }),
}
const preferringAffine: Template = {
  ...plain,
  labels: red,
  placement: create(PlacementPolicySchema, {
    affinity: [affinity(red, 'node', { required: false, weight: 1 })],
  }),
}
const nodeAffine: Template = {
  ...plain,
  placement: create(PlacementPolicySchema, {
    nodeRequirements: [{ key: zoneLabel, operator: 'In', values: ['zone1', 'zone2'] }],
  }),
}

const noZones: readonly string[] = ['']
const oneZone = ['zone1']
const threeZones = ['moon-1', 'moon-2', 'moon-3']

export const perfCases: readonly PerfCase[] = [
  {
    name: 'SchedulingBasic',
    size: '5000Nodes_10000Pods',
    floor: 680,
    zones: noZones,
    init: { template: plain, replicas: 1_000 },
    measured: { template: plain, replicas: 10_000 },
  },
  {
    name: 'SchedulingWithMixedChurn',
    size: '5000Nodes_10000Pods',
    floor: 710,
    zones: noZones,
    measured: { template: plain, replicas: 10_000 },
    churn: { kind: 'recreate', template: largeHighPriority, intervalMs: 1_000 },
  },
  {
    name: 'TopologySpreading',
    size: '5000Nodes_5000Pods',
    floor: 460,
    zones: threeZones,
    init: { template: plain, replicas: 5_000 },
    measured: { template: spreading(true), replicas: 5_000 },
  },
  {
    name: 'PreferredTopologySpreading',
    size: '5000Nodes_5000Pods',
    floor: 340,
    zones: threeZones,
    init: { template: plain, replicas: 5_000 },
    measured: { template: spreading(false), replicas: 5_000 },
  },
  {
    name: 'SchedulingNodeAffinity',
    size: '5000Nodes_10000Pods',
    floor: 220,
    zones: oneZone,
    init: { template: nodeAffine, replicas: 5_000 },
    measured: { template: nodeAffine, replicas: 10_000 },
  },
  {
    name: 'SchedulingPreferredPodAffinity',
    size: '5000Nodes_5000Pods',
    floor: 90,
    zones: noZones,
    init: { template: preferringAffine, replicas: 5_000 },
    measured: { template: preferringAffine, replicas: 5_000 },
  },
  {
    name: 'SchedulingPodAntiAffinity',
    size: '5000Nodes_2000Pods',
    floor: 60,
    zones: noZones,
    init: { template: antiAffine, replicas: 1_000 },
    measured: { template: antiAffine, replicas: 2_000 },
  },
  {
    name: 'SchedulingPodAffinity',
    size: '5000Nodes_5000Pods',
    floor: 35,
    zones: oneZone,
    init: { template: affine, replicas: 5_000 },
    measured: { template: affine, replicas: 5_000 },
  },
  {
    name: 'PreemptionAsync',
    size: '5000Nodes',
    floor: 570,
    zones: noZones,
    init: { template: lowPriority, replicas: 20_000 },
    measured: { template: plain, replicas: 5_000 },
    churn: { kind: 'create', template: highPriority, intervalMs: 200 },
  },
  {
    name: 'PreemptionBasic',
    size: '5000Nodes',
    zones: noZones,
    init: { template: lowPriority, replicas: 20_000 },
    measured: { template: highPriority, replicas: 5_000 },
  },
  {
    name: 'Unschedulable',
    size: '5kNodes/100Init/10kPods',
    floor: 590,
    zones: noZones,
    init: { template: plain, replicas: 100 },
    measured: { template: plain, replicas: 10_000 },
    churn: { kind: 'create', template: largeHighPriority, intervalMs: 200 },
  },
]

/** The template as a workload, with the defaults of the API. */
export function workloadOf(
  { cpuMillicores, priority = 0, labels = {}, ...rest }: Template,
  owner: { readonly name: string; readonly namespace: string; readonly replicas: number },
): Workload {
  const { name, namespace, replicas } = owner
  const { graceMs, minAvailable, placement } = rest
  const amounts = create(ResourceCapacitySchema, { cpuMillicores, memoryBytes: 500n << 20n })
  const spec = create(WorkloadSpecSchema, {
    image: 'registry.k8s.io/pause:3.10',
    replicas,
    priority,
    ports: [create(PortSchema, { containerPort: 80 })],
    resources: create(ResourceRequirementsSchema, { requests: amounts, limits: amounts }),
    ...(placement && { placement }),
    ...(graceMs !== undefined && { terminationGraceMs: graceMs }),
    ...(minAvailable !== undefined && { rollout: create(RolloutStrategySchema, { minAvailable }) }),
  })
  const id = `${namespace}-${name}`
  return defaultWorkload(
    create(WorkloadSchema, { id, name, namespace, labels, revision: 1n, spec }),
  )
}
