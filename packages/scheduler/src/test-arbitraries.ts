/** Clusters, kinds and histories of changes for property tests: small, and varied in everything a decision depends on. */
import type { HostDemands, HostPolicy } from '@cloudless/base'
import * as fc from 'fast-check'
import type {
  Affinity,
  Holding,
  NodeView,
  PlacedReplica,
  ReplicaKind,
  Resources,
  Taint,
  Toleration,
  TopologySpread,
} from './model.ts'
import { aKind, aNode } from './test-views.ts'

const records = { noNullPrototype: true } as const

/** Often the first, otherwise one of the others: what makes demands must be rare where there are many demands. */
function mostly<Value>(usual: Value, ...others: Value[]): fc.Arbitrary<Value> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  )
}

function seldom<Value>(some: fc.Arbitrary<Value>): fc.Arbitrary<readonly Value[]> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(some, { minLength: 1, maxLength: 3 }) },
  )
}

/** Half the time: what is judged last is seldom reached. */
function often<Value>(some: fc.Arbitrary<Value>): fc.Arbitrary<readonly Value[]> {
  return fc.oneof(fc.constant([]), fc.array(some, { minLength: 1, maxLength: 2 }))
}

function resources(max: number, gpus: fc.Arbitrary<number>): fc.Arbitrary<Resources> {
  const amount = fc.integer({ min: 0, max })
  return fc.record(
    {
      cpuMillis: amount,
      memoryBytes: amount.map((mebibytes) => mebibytes * 2 ** 20),
      storageBytes: mostly(0, 2 ** 30, 2 ** 31),
      bandwidthBps: mostly(0, max, 2 * max),
      gpuCount: gpus,
    },
    records,
  )
}

const taints = seldom(
  fc.record<Taint>(
    {
      key: fc.constantFrom('gpu', 'edge'),
      value: fc.constantFrom('', 'x'),
      effect: fc.constantFrom('NoSchedule', 'PreferNoSchedule', 'NoExecute'),
    },
    records,
  ),
)

const tolerations = seldom(
  fc.record<Toleration>(
    {
      key: fc.constantFrom('gpu', 'edge', ''),
      operator: fc.constantFrom('Equal', 'Exists'),
      value: fc.constantFrom('', 'x'),
      effect: fc.constantFrom(undefined, undefined, 'NoSchedule', 'NoExecute'),
    },
    records,
  ),
)

const closed: HostPolicy = {
  allowPrivileged: false,
  allowHostNamespaces: false,
  hostPathPrefixes: [],
  runtimeClasses: ['runc'],
  volumeSources: ['emptyDir', 'hostPath'],
  seccompProfiles: [],
  securityModules: [],
}

const policy = mostly<HostPolicy | undefined>(
  undefined,
  closed,
  { ...closed, hostPathPrefixes: ['/srv/'], securityModules: ['apparmor'] },
  { ...closed, allowPrivileged: true, runtimeClasses: ['runc', 'gvisor'] },
  { ...closed, allowHostNamespaces: true, seccompProfiles: ['own'], volumeSources: ['hostPath'] },
)

const unasked: HostDemands = {
  privileged: false,
  hostNamespaces: [],
  hostPaths: [],
  runtimeClass: '',
  volumeSources: [],
  seccompProfile: '',
  securityModules: [],
}

const hostDemands = mostly<HostDemands | undefined>(
  undefined,
  { ...unasked, privileged: true },
  { ...unasked, hostNamespaces: ["the host's network"], seccompProfile: 'own' },
  { ...unasked, hostPaths: ['/srv/a', '/srvb'], volumeSources: ['hostPath'] },
  { ...unasked, hostPaths: ['/srv'], volumeSources: ['hostPath', 'emptyDir'] },
  { ...unasked, runtimeClass: 'gvisor', volumeSources: ['emptyDir'] },
  { ...unasked, securityModules: ['apparmor'] },
)

const nodeChanges = fc.record(
  {
    name: mostly(undefined, 'twin'),
    region: mostly('home', 'away'),
    zone: fc.constantFrom('a', 'b', 'c'),
    phase: mostly<NodeView['phase']>('ready', 'cordoned', 'offline', 'unknown', 'draining'),
    labels: fc.record(
      {
        disk: fc.constantFrom('ssd', 'hdd'),
        rack: fc.constantFrom('r1', 'r2'),
        size: fc.constantFrom('1', '4', 'many', ''),
      },
      { requiredKeys: [], ...records },
    ),
    taints,
    allocatable: fc
      .tuple(resources(40, mostly(0, 2, 4)), fc.constantFrom(1, 4))
      .map(([amount, times]) => ({
        ...amount,
        cpuMillis: amount.cpuMillis * times,
        memoryBytes: amount.memoryBytes * times,
        storageBytes: amount.storageBytes * 4 + 2 ** 32,
        bandwidthBps: 200,
      })),
    gpuModels: mostly<readonly string[]>([], ['a100'], ['t4', 'a100']),
    iopsClass: fc.constantFrom('unknown', 'low', 'medium', 'high', 'premium'),
    architecture: fc.constantFrom('amd64', 'amd64', 'amd64', 'arm64', ''),
    os: mostly('linux', ''),
    policy,
    reliability: fc.integer({ min: 0, max: 10 }).map((tenths) => tenths / 10),
    memoryPressure: mostly(false, true),
    diskPressure: mostly(false, true),
    networkUnavailable: mostly(false, true),
    networkFeatures: mostly<readonly string[]>([], ['ipv6'], ['ipv6', 'jumbo']),
    hasPublicAddress: fc.boolean(),
    onBattery: mostly(false, true),
    batteryPercent: fc.constantFrom(-1, 10, 20, 90),
    isMetered: mostly(false, true),
    images: fc.constantFrom('', 'one', 'two').map((image) => new Set(image === '' ? [] : [image])),
  },
  records,
)

/** Any of twelve nodes, by number. */
export const anyNode: fc.Arbitrary<NodeView> = fc
  .tuple(fc.nat(11), nodeChanges)
  .map(([number, { name = `n${number}`, ...changes }]) => {
    return { ...aNode(`n${number}`, changes), name }
  })

/** One to twelve, each another. */
export const anyNodes: fc.Arbitrary<readonly NodeView[]> = fc.uniqueArray(anyNode, {
  minLength: 1,
  maxLength: 12,
  selector: ({ id }) => id,
})

const workloads = ['w1', 'w2', 'w3', 'w4']
const topologyKeys = ['node', 'zone', 'region', 'rack', 'cloudless.io/arch']

function labelsToMatch(): fc.Arbitrary<Readonly<Record<string, string>>> {
  return fc.oneof(
    fc.constantFrom(...workloads).map((app) => ({ app })),
    fc.constantFrom<Readonly<Record<string, string>>>(
      { tier: 'front' },
      { app: 'w1', tier: 'front' },
      {},
    ),
  )
}

const anyAffinity: fc.Arbitrary<Affinity> = fc.record(
  {
    subject: fc.constantFrom('node', 'workload', 'workload'),
    matchLabels: fc.oneof(labelsToMatch(), fc.constantFrom({ disk: 'ssd' }, { rack: 'r1' })),
    topologyKey: fc.constantFrom(...topologyKeys),
    required: fc.boolean(),
    weight: fc.integer({ min: 1, max: 100 }),
  },
  records,
)

const anySpread: fc.Arbitrary<TopologySpread> = fc.record(
  {
    topologyKey: fc.constantFrom(...topologyKeys),
    maxSkew: fc.integer({ min: 1, max: 3 }),
    minDomains: fc.integer({ min: 0, max: 3 }),
    required: fc.boolean(),
    matchLabels: fc.oneof(fc.constant({}), labelsToMatch()),
  },
  records,
)

const anyRequirement = fc.record(
  {
    key: fc.constantFrom('disk', 'rack', 'size', 'cloudless.io/arch'),
    operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'),
    values: fc.constantFrom(['ssd', 'r1', '4', 'amd64'], ['3'], ['hdd']),
  },
  records,
)

export const anyKind: fc.Arbitrary<ReplicaKind> = fc
  .record(
    {
      workload: fc.constantFrom(...workloads),
      tier: fc.constantFrom('front', 'back'),
      requests: resources(8, mostly(0, 1, 2)),
      gpuModels: mostly<readonly string[]>([], ['a100'], ['h100', 't4']),
      iopsClass: mostly('', 'low', 'medium', 'high'),
      hostPorts: fc.constantFrom<readonly string[]>([], [], ['80/TCP'], ['80/UDP', '443/TCP']),
      hostDemands,
      priority: fc.integer({ min: 0, max: 3 }),
      regions: mostly<readonly string[]>([], ['home'], ['away', 'home']),
      zones: mostly<readonly string[]>([], ['a', 'b']),
      nodeSelector: mostly<Readonly<Record<string, string>>>(
        {},
        { disk: 'ssd' },
        { 'cloudless.io/zone': 'a' },
      ),
      nodeRequirements: seldom(anyRequirement),
      affinity: often(anyAffinity),
      antiAffinity: often(anyAffinity),
      tolerations,
      topologySpread: often(anySpread),
      spreadTopology: fc.constantFrom('', 'node', 'zone', 'region'),
      packing: fc.constantFrom('binpack', 'best_fit', 'spread'),
      image: fc.constantFrom('one', 'two'),
      platforms: fc.constantFrom<readonly string[]>(
        [],
        ['linux/amd64'],
        ['linux/amd64', 'linux/arm64/v8'],
      ),
      networkFeatures: mostly<readonly string[]>([], ['ipv6'], ['ipv6', 'jumbo']),
      wantsPublicAddress: fc.boolean(),
      weights: mostly(undefined, {
        locality: 0,
        reliability: 2,
        cost: 0,
        utilization: 1,
        networkPenalty: 1,
      }),
    },
    records,
  )
  .map(({ workload, tier, ...changes }) =>
    aKind({
      ...(changes as Partial<ReplicaKind>),
      workloadId: `default-${workload}`,
      labels: { app: workload, tier },
    }),
  )

export const anyKinds: fc.Arbitrary<readonly ReplicaKind[]> = fc.array(anyKind, {
  minLength: 1,
  maxLength: 6,
})

export type Change =
  | { readonly do: 'putNode'; readonly node: NodeView }
  | { readonly do: 'removeNode'; readonly nodeId: string }
  | { readonly do: 'putReplica'; readonly replica: PlacedReplica }
  | { readonly do: 'removeReplica'; readonly replicaId: string }
  /** Places one more of the kind, if there is room. */
  | { readonly do: 'place'; readonly kind: ReplicaKind; readonly replicaId: string }
  /** Decides for the kind and changes nothing, so that what is remembered for it grows old. */
  | { readonly do: 'ask'; readonly kind: ReplicaKind }

export interface History {
  readonly kinds: readonly ReplicaKind[]
  readonly changes: readonly Change[]
}

const nodeId = fc.nat(11).map((number) => `node-n${number}`)
const replicaId = fc.nat(15).map((number) => `r${number}`)
const holding = mostly<Holding>('holding', 'leaving', 'nominated')

/** Replicas come and go on nodes that are there and on nodes that are not. */
export const anyHistory: fc.Arbitrary<History> = anyKinds.chain((kinds) => {
  const kind = fc.constantFrom(...kinds)
  const replica = fc
    .record({ id: replicaId, nodeId, kind, holding }, records)
    .map((replica): PlacedReplica => replica)
  const change: fc.Arbitrary<Change> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('putNode' as const), node: anyNode }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('removeNode' as const), nodeId }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('putReplica' as const), replica }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('removeReplica' as const), replicaId }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('place' as const), kind, replicaId }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('ask' as const), kind }) },
  )
  return fc.record({
    kinds: fc.constant(kinds),
    changes: fc
      .tuple(anyNodes, fc.array(change, { maxLength: 40 }))
      .map(([nodes, changes]) => [
        ...nodes.map((node): Change => ({ do: 'putNode', node })),
        ...changes,
      ]),
  })
})
