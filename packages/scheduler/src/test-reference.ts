/**
 * Feasibility worked out the plain way, for comparison: loops over nodes and replicas, no table, nothing remembered, and
 * none of the scheduler's own code. Slow and obvious.
 */
import type {
  Affinity,
  Labels,
  NodeView,
  PendingReplica,
  PlacedReplica,
  ReplicaKind,
  Resources,
  SelectorRequirement,
  Taint,
} from './model.ts'

export interface Refusal {
  readonly filter: string
  readonly reason: string
}

export interface PlainCluster {
  readonly nodes: readonly NodeView[]
  readonly replicas: readonly PlacedReplica[]
}

/** By node id: why the node will not do; undefined when it will. */
export function plainFeasibility(
  cluster: PlainCluster,
  { id, kind, excludedNodeIds }: PendingReplica,
): Map<string, Refusal | undefined> {
  const others = { ...cluster, replicas: cluster.replicas.filter((replica) => replica.id !== id) }
  return new Map(
    cluster.nodes.map((node) => [
      node.id,
      byWhatItIs(node, kind) ??
        byItsRoom(node, kind, others.replicas) ??
        (excludedNodeIds.includes(node.id)
          ? { filter: 'excluded', reason: 'excluded, the replica was moved off' }
          : undefined) ??
        byItsPlace(node, kind, others),
    ]),
  )
}

function byWhatItIs(node: NodeView, kind: ReplicaKind): Refusal | undefined {
  if (node.phase !== 'ready') {
    return { filter: 'phase', reason: node.phase === 'unknown' ? 'not heard from' : node.phase }
  }
  const taint = node.taints.find((taint) => forbids(taint, kind))
  if (taint !== undefined) {
    const value = taint.value === '' ? '' : `=${taint.value}`
    return { filter: 'taints', reason: `tainted ${taint.key}${value}` }
  }
  const forbidden = byItsPolicy(node, kind)
  if (forbidden !== undefined) return { filter: 'policy', reason: forbidden }
  for (const [key, value] of Object.entries(kind.nodeSelector)) {
    if (plainLabels(node).get(key) === value) continue
    return { filter: 'selector', reason: 'labels do not match the node selector' }
  }
  for (const requirement of kind.nodeRequirements) {
    if (meets(plainLabels(node).get(requirement.key), requirement)) continue
    const { key, operator } = requirement
    return { filter: 'selector', reason: `label ${key} does not meet ${operator}` }
  }
  if (kind.regions.length > 0 && !kind.regions.includes(node.region)) {
    return { filter: 'location', reason: 'not in a wanted region' }
  }
  if (kind.zones.length > 0 && !kind.zones.includes(node.zone)) {
    return { filter: 'location', reason: 'not in a wanted zone' }
  }
  return byItsMachine(node, kind)
}

function byItsPolicy({ policy }: NodeView, { hostDemands }: ReplicaKind): string | undefined {
  if (policy === undefined || hostDemands === undefined) return undefined
  const lacks = (asked: readonly string[], has: readonly string[]): string | undefined =>
    asked.find((one) => !has.includes(one))
  const { privileged, hostNamespaces, runtimeClass, seccompProfile } = hostDemands
  if (privileged && !policy.allowPrivileged) return 'privileged containers not allowed'
  if (hostNamespaces.length > 0 && !policy.allowHostNamespaces) {
    return `sharing ${hostNamespaces[0]} not allowed`
  }
  for (const path of hostDemands.hostPaths) {
    if (policy.hostPathPrefixes.some((prefix) => `${path}/`.startsWith(prefix))) continue
    return `host path ${path} not allowed`
  }
  if (lacks([runtimeClass], ['', ...policy.runtimeClasses])) {
    return `no runtime class ${runtimeClass}`
  }
  const source = lacks(hostDemands.volumeSources, policy.volumeSources)
  if (source !== undefined) return `mounts no ${source} volumes`
  if (lacks([seccompProfile], ['', ...policy.seccompProfiles])) {
    return `no seccomp profile ${seccompProfile}`
  }
  return lacks(hostDemands.securityModules, policy.securityModules) && 'no AppArmor'
}

function byItsMachine(node: NodeView, kind: ReplicaKind): Refusal | undefined {
  const made = kind.platforms.map((platform) => platform.split('/').slice(0, 2).join('/'))
  const isKnown = node.os !== '' && node.architecture !== ''
  if (made.length > 0 && isKnown && !made.includes(`${node.os}/${node.architecture}`)) {
    return { filter: 'platform', reason: `no image for ${node.os}/${node.architecture}` }
  }
  if (kind.gpuModels.length > 0 && !node.gpuModels.some((m) => kind.gpuModels.includes(m))) {
    return { filter: 'gpu-model', reason: 'no GPU of a wanted model' }
  }
  const classes = ['low', 'medium', 'high', 'premium']
  if (classes.indexOf(node.iopsClass) < classes.indexOf(kind.iopsClass)) {
    return { filter: 'iops-class', reason: 'disk too slow' }
  }
  if (kind.requests.storageBytes > 0 && node.diskPressure) {
    return { filter: 'storage', reason: 'disk nearly full' }
  }
  return undefined
}

function byItsRoom(
  node: NodeView,
  kind: ReplicaKind,
  replicas: readonly PlacedReplica[],
): Refusal | undefined {
  const here = replicas.filter(({ nodeId }) => nodeId === node.id)
  const words: readonly [keyof Resources, string][] = [
    ['cpuMillis', 'CPU'],
    ['memoryBytes', 'memory'],
    ['storageBytes', 'storage'],
    ['bandwidthBps', 'bandwidth'],
    ['gpuCount', 'GPUs'],
  ]
  for (const [name, word] of words) {
    let taken = 0
    for (const replica of here) taken += replica.kind.requests[name]
    const asked = kind.requests[name]
    if (asked > 0 && asked > node.allocatable[name] - taken) {
      return { filter: 'resources', reason: `not enough ${word}` }
    }
  }
  for (const port of kind.hostPorts) {
    if (here.some((replica) => replica.kind.hostPorts.includes(port))) {
      return { filter: 'host-ports', reason: `host port ${port} taken` }
    }
  }
  return undefined
}

function byItsPlace(node: NodeView, kind: ReplicaKind, cluster: PlainCluster): Refusal | undefined {
  for (const one of kind.antiAffinity) {
    if (one.required && isNear(node, one, cluster)) {
      return { filter: 'anti-affinity', reason: `${one.subject} anti-affinity` }
    }
  }
  if (isShunned(node, kind, cluster)) {
    return { filter: 'anti-affinity', reason: 'a replica there shuns it' }
  }
  for (const one of kind.affinity) {
    if (!one.required || isNear(node, one, cluster)) continue
    if (isFirst(one, kind, cluster) && plainPlace(node, one.topologyKey) !== undefined) continue
    return { filter: 'affinity', reason: `${one.subject} affinity not met` }
  }
  return bySpread(node, kind, cluster)
}

/** Whether the node is in a place that holds what the affinity names. */
function isNear(node: NodeView, affinity: Affinity, cluster: PlainCluster): boolean {
  const { subject, matchLabels, topologyKey } = affinity
  const place = plainPlace(node, topologyKey)
  if (place === undefined) return false
  return cluster.nodes.some((other) => {
    if (plainPlace(other, topologyKey) !== place) return false
    if (subject === 'node') return has(plainLabels(other), matchLabels)
    return heldOn(other, cluster).some(({ kind }) => has(plainMap(kind.labels), matchLabels))
  })
}

function isFirst(
  { subject, matchLabels, topologyKey }: Affinity,
  kind: ReplicaKind,
  cluster: PlainCluster,
): boolean {
  if (subject === 'node' || !has(plainMap(kind.labels), matchLabels)) return false
  return !cluster.nodes.some(
    (node) =>
      plainPlace(node, topologyKey) !== undefined &&
      heldOn(node, cluster).some(({ kind }) => has(plainMap(kind.labels), matchLabels)),
  )
}

/** Whether a replica that is in the node's place already must have nothing like it near. */
function isShunned(node: NodeView, kind: ReplicaKind, cluster: PlainCluster): boolean {
  return cluster.nodes.some((other) =>
    heldOn(other, cluster).some((replica) =>
      replica.kind.antiAffinity.some(
        ({ required, subject, matchLabels, topologyKey }) =>
          required &&
          subject === 'workload' &&
          has(plainMap(kind.labels), matchLabels) &&
          plainPlace(node, topologyKey) !== undefined &&
          plainPlace(node, topologyKey) === plainPlace(other, topologyKey),
      ),
    ),
  )
}

function bySpread(node: NodeView, kind: ReplicaKind, cluster: PlainCluster): Refusal | undefined {
  for (const { topologyKey, maxSkew, minDomains, required, matchLabels } of kind.topologySpread) {
    if (!required) continue
    const isCounted = (replica: PlacedReplica): boolean =>
      Object.keys(matchLabels).length === 0
        ? replica.kind.workloadId === kind.workloadId
        : has(plainMap(replica.kind.labels), matchLabels)
    const countIn = (place: string): number =>
      cluster.nodes
        .filter((other) => plainPlace(other, topologyKey) === place)
        .flatMap((other) => heldOn(other, cluster))
        .filter(isCounted).length
    const open = new Set(
      cluster.nodes
        .filter((other) => byWhatItIs(other, kind) === undefined)
        .map((other) => plainPlace(other, topologyKey))
        .filter((place) => place !== undefined),
    )
    const fewest =
      open.size === 0 || open.size < minDomains ? 0 : Math.min(...[...open].map(countIn))
    const place = plainPlace(node, topologyKey)
    const filter = 'topology-spread'
    if (place === undefined) return { filter, reason: `no ${topologyKey} to spread over` }
    const own = has(plainMap(kind.labels), matchLabels)
    if (countIn(place) + (own ? 1 : 0) - fewest > maxSkew) {
      return { filter, reason: `too many replicas in its ${topologyKey}` }
    }
  }
  return undefined
}

function heldOn(node: NodeView, { replicas }: PlainCluster): readonly PlacedReplica[] {
  return replicas.filter(({ nodeId, holding }) => nodeId === node.id && holding === 'holding')
}

function forbids(taint: Taint, { tolerations }: ReplicaKind): boolean {
  if (taint.effect === 'PreferNoSchedule') return false
  return !tolerations.some(
    ({ key, operator, value, effect }) =>
      (effect === undefined || effect === taint.effect) &&
      (operator === 'Exists'
        ? key === '' || key === taint.key
        : key === taint.key && value === taint.value),
  )
}

function meets(label: string | undefined, { operator, values }: SelectorRequirement): boolean {
  if (operator === 'Exists') return label !== undefined
  if (operator === 'DoesNotExist') return label === undefined
  if (operator === 'NotIn') return label === undefined || !values.includes(label)
  if (label === undefined) return false
  if (operator === 'In') return values.includes(label)
  if (label === '') return false
  return operator === 'Gt' ? Number(label) > Number(values[0]) : Number(label) < Number(values[0])
}

function has(labels: ReadonlyMap<string, string>, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels.get(key) === value)
}

function plainMap(labels: Labels): ReadonlyMap<string, string> {
  return new Map(Object.entries(labels))
}

/** Its own labels, and those it has by nature. */
function plainLabels(node: NodeView): ReadonlyMap<string, string> {
  return new Map([
    ['cloudless.io/node', node.name],
    ['cloudless.io/region', node.region],
    ['cloudless.io/zone', node.zone],
    ['cloudless.io/arch', node.architecture],
    ['cloudless.io/os', node.os],
    ...Object.entries(node.labels),
  ])
}

function plainPlace(node: NodeView, topologyKey: string): string | undefined {
  if (topologyKey === 'node' || topologyKey === '') return node.id
  if (topologyKey === 'zone') return node.zone
  if (topologyKey === 'region') return node.region
  return plainLabels(node).get(topologyKey)
}
