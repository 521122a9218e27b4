/** What the scheduler needs to know of a replica, made once for all replicas that ask for the same. */
import {
  AffinityType,
  hostDemandsOf,
  networkFeaturePrefix,
  normaliseImage,
  publicAddressAnnotation,
  WorkloadType,
  type Affinity as AffinityMessage,
  type PlacementPolicy,
  type Port,
  type ReplicaRecord,
  type ResourceCapacity,
  type ScoreWeights as ScoreWeightsMessage,
  type Workload,
  type WorkloadSpec,
} from '@cloudless/api'
import {
  noResources,
  type Affinity,
  type Labels,
  type Packing,
  type ReplicaKind,
  type Resources,
  type ScoreWeights,
  type SelectorOperator,
  type TopologySpread,
} from '@cloudless/scheduler'
import { spreadTopologyOf, type SchedulerSettings } from './scheduler-configuration.ts'
import { drainToleration, tolerationOf } from './taints.ts'

export interface ReplicaKindsDeps {
  readonly settings: () => SchedulerSettings
  /** Of the full name of an image; empty when not known, and the same array until it changes. */
  readonly platformsOf: (image: string) => readonly string[]
  /** Of the replica's workload. */
  readonly annotationsOf: (workloadId: string) => Labels
}

interface Owner extends Pick<ReplicaKind, 'workloadId' | 'namespace' | 'labels'> {
  readonly annotations: Labels
}

/** Kinds that no replica has any more are forgotten, all together with the others, beyond this. */
const kindsMax = 50_000

export class ReplicaKinds {
  readonly #deps: ReplicaKindsDeps
  #kindBySpec = new WeakMap<WorkloadSpec, ReplicaKind>()
  readonly #kindByContent = new Map<string, ReplicaKind>()

  constructor(deps: ReplicaKindsDeps) {
    this.#deps = deps
  }

  /** The same object for replicas that ask for the same. */
  of(record: ReplicaRecord): ReplicaKind {
    const spec = record.spec!
    const known = this.#kindBySpec.get(spec)
    if (known !== undefined && this.#isCurrent(known, record)) return known
    const { workloadId, namespace } = record.status!
    const annotations = this.#deps.annotationsOf(workloadId)
    const made = this.#make({ workloadId, namespace, labels: record.labels, annotations }, spec)
    const content = JSON.stringify(made)
    const like = this.#kindByContent.get(content)
    const kind = like?.platforms === made.platforms ? like : made
    if (this.#kindByContent.size >= kindsMax) this.forget()
    this.#kindByContent.set(content, kind)
    this.#kindBySpec.set(spec, kind)
    return kind
  }

  /** Of a workload that need not exist; not remembered. */
  ofWorkload({ id, namespace, labels, annotations, spec }: Workload): ReplicaKind {
    return this.#make({ workloadId: id, namespace, labels, annotations }, spec!)
  }

  /** The settings have changed: kinds are made anew. */
  forget(): void {
    this.#kindBySpec = new WeakMap()
    this.#kindByContent.clear()
  }

  /** What is not in the spec is as it was: an annotation may change without a new revision. */
  #isCurrent(kind: ReplicaKind, { status }: ReplicaRecord): boolean {
    const { platformsOf, annotationsOf } = this.#deps
    return (
      kind.workloadId === status!.workloadId &&
      kind.platforms === platformsOf(kind.image) &&
      kind.wantsPublicAddress === wantsPublicAddress(annotationsOf(kind.workloadId))
    )
  }

  #make({ annotations, ...owner }: Owner, spec: WorkloadSpec): ReplicaKind {
    const settings = this.#deps.settings()
    const image = normaliseImage(spec.image)
    const requests = spec.resources?.requests
    const isDaemon = spec.type === WorkloadType.DAEMON
    const placed = placementOf(spec.placement, settings)
    return {
      ...owner,
      requests: resourcesOf(requests),
      gpuModels: requests?.gpuModels ?? [],
      iopsClass: requests?.iopsClass ?? '',
      hostPorts: hostPortsOf(spec.ports),
      hostDemands: hostDemandsOf(spec),
      priority: spec.priority,
      image,
      platforms: this.#deps.platformsOf(image),
      wantsPublicAddress: wantsPublicAddress(annotations),
      isDaemon,
      ...placed,
      // Daemons stay on a node that is drained, so that one which is updated there has to find its place again.
      tolerations: isDaemon ? [...placed.tolerations, drainToleration] : placed.tolerations,
    }
  }
}

function wantsPublicAddress(annotations: Labels): boolean {
  return annotations[publicAddressAnnotation] === 'true'
}

type PlacementWishes = Pick<
  ReplicaKind,
  | 'regions'
  | 'zones'
  | 'nodeSelector'
  | 'networkFeatures'
  | 'nodeRequirements'
  | 'affinity'
  | 'antiAffinity'
  | 'tolerations'
  | 'topologySpread'
  | 'spreadTopology'
  | 'packing'
  | 'weights'
>

function placementOf(
  placement: PlacementPolicy | undefined,
  settings: SchedulerSettings,
): PlacementWishes {
  const selector = Object.entries(placement?.nodeSelector ?? {})
  const isWish = ([key]: [string, string]): boolean => key.startsWith(networkFeaturePrefix)
  return {
    regions: placement?.regions ?? [],
    zones: placement?.zones ?? [],
    nodeSelector: Object.fromEntries(selector.filter((entry) => !isWish(entry))),
    networkFeatures: selector.filter(isWish).map(([key]) => key.slice(networkFeaturePrefix.length)),
    nodeRequirements: (placement?.nodeRequirements ?? []).map(({ key, operator, values }) => ({
      key,
      operator: operator as SelectorOperator,
      values,
    })),
    affinity: (placement?.affinity ?? []).map(affinityOf),
    antiAffinity: (placement?.antiAffinity ?? []).map(affinityOf),
    tolerations: (placement?.tolerations ?? []).map(tolerationOf),
    topologySpread: (placement?.topologySpread ?? []).map(
      ({ topologyKey, maxSkew, minDomains, required, matchLabels }): TopologySpread => ({
        topologyKey,
        maxSkew: maxSkew || 1,
        minDomains,
        required,
        matchLabels,
      }),
    ),
    spreadTopology: placement?.spreadTopology
      ? spreadTopologyOf(placement.spreadTopology)
      : settings.spreadTopology,
    packing: (placement?.packing || settings.packing) as Packing,
    weights: weightsOf(placement?.scoreWeights),
  }
}

function weightsOf(weights: ScoreWeightsMessage | undefined): ScoreWeights | undefined {
  if (weights === undefined) return undefined
  const { locality, reliability, cost, utilization, networkPenalty } = weights
  return { locality, reliability, cost, utilization, networkPenalty }
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

export function sumOf(all: Iterable<Resources>): Resources {
  const sum = { ...noResources } as { -readonly [K in keyof Resources]: number }
  for (const one of all) {
    sum.cpuMillis += one.cpuMillis
    sum.memoryBytes += one.memoryBytes
    sum.storageBytes += one.storageBytes
    sum.bandwidthBps += one.bandwidthBps
    sum.gpuCount += one.gpuCount
  }
  return sum
}
