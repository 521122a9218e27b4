/**
 * What the scheduler sees and says. Plain values in plain units; the coordinator's driver makes them from its records.
 *
 * Vocabulary: a *kind* is what the replicas of one workload and revision have in common, and the only thing a decision
 * depends on beside the cluster; a *place* is the set of nodes with the same value of a topology key; a replica *holds*
 * its node's capacity, is *leaving* while it is being stopped, and is *nominated* while room is being made for it.
 */
import type { HostDemands, HostPolicy } from '@cloudless/base'

/** CPU in thousandths of a core, sizes in bytes, bandwidth in bits per second. Whole numbers below 2^53. */
export interface Resources {
  readonly cpuMillis: number
  readonly memoryBytes: number
  readonly storageBytes: number
  readonly bandwidthBps: number
  readonly gpuCount: number
}

export const noResources: Resources = {
  cpuMillis: 0,
  memoryBytes: 0,
  storageBytes: 0,
  bandwidthBps: 0,
  gpuCount: 0,
}

export type TaintEffect = 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'

export interface Taint {
  readonly key: string
  readonly value: string
  readonly effect: TaintEffect
}

export interface Toleration {
  /** Empty with Exists: every key. */
  readonly key: string
  readonly operator: 'Equal' | 'Exists'
  readonly value: string
  /** Undefined: every effect. */
  readonly effect: TaintEffect | undefined
}

export type SelectorOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt'

export interface SelectorRequirement {
  readonly key: string
  readonly operator: SelectorOperator
  readonly values: readonly string[]
}

export type Labels = Readonly<Record<string, string>>

export interface Affinity {
  readonly subject: 'node' | 'workload'
  readonly matchLabels: Labels
  /** Nodes with the same value of this label are one place; "node", "zone" and "region" are understood on every node. */
  readonly topologyKey: string
  readonly required: boolean
  /** 1 to 100; only for wishes. */
  readonly weight: number
}

/** How unevenly replicas may be spread over places. */
export interface TopologySpread {
  readonly topologyKey: string
  /** At least 1. */
  readonly maxSkew: number
  /** With fewer places that could take it, the fewest replicas in a place counts as 0. */
  readonly minDomains: number
  readonly required: boolean
  /** Which replicas are counted; empty: those of the same workload. */
  readonly matchLabels: Labels
}

/**
 * Only `ready` takes new replicas, and for daemons `cordoned` and `draining` as well; the others are there to be counted and
 * named in reasons.
 */
export type NodePhase =
  | 'unknown'
  | 'enrolling'
  | 'ready'
  | 'draining'
  | 'cordoned'
  | 'offline'
  | 'failed'

/** What a node is. What is on it is a matter of the replicas. */
export interface NodeView {
  readonly id: string
  readonly name: string
  readonly region: string
  readonly zone: string
  readonly phase: NodePhase
  readonly labels: Labels
  readonly taints: readonly Taint[]
  /** With the configured overcommitment, where there is one. */
  readonly allocatable: Resources
  readonly gpuModels: readonly string[]
  readonly iopsClass: string
  readonly architecture: string
  readonly os: string
  /** What it lets containers have of its host; undefined: it has not told. */
  readonly policy: HostPolicy | undefined
  /** 0 to 1. */
  readonly reliability: number
  readonly memoryPressure: boolean
  readonly diskPressure: boolean
  readonly networkUnavailable: boolean
  /** Such as "ipv6". */
  readonly networkFeatures: readonly string[]
  readonly hasPublicAddress: boolean
  readonly onBattery: boolean
  /** 0 to 100; -1 without a battery. */
  readonly batteryPercent: number
  readonly isMetered: boolean
  /** Full names of the images on it. */
  readonly images: ReadonlySet<string>
}

export type SpreadTopology = '' | 'node' | 'zone' | 'region'

/** How to choose among nodes that are about as good. */
export type Packing = 'binpack' | 'best_fit' | 'spread'

/** What replicas of one workload and revision have in common. The same object for all of them: it is known by identity. */
export interface ReplicaKind {
  readonly workloadId: string
  readonly namespace: string
  /** Labels of its workload. */
  readonly labels: Labels
  readonly requests: Resources
  /** Empty: any model. */
  readonly gpuModels: readonly string[]
  /** Lowest acceptable class; empty: any. */
  readonly iopsClass: string
  /** "80/TCP". */
  readonly hostPorts: readonly string[]
  /** Of the node itself; undefined: nothing that a node could refuse. */
  readonly hostDemands: HostDemands | undefined
  /** Higher is placed first. */
  readonly priority: number
  readonly regions: readonly string[]
  readonly zones: readonly string[]
  readonly nodeSelector: Labels
  readonly nodeRequirements: readonly SelectorRequirement[]
  readonly affinity: readonly Affinity[]
  readonly antiAffinity: readonly Affinity[]
  readonly tolerations: readonly Toleration[]
  readonly topologySpread: readonly TopologySpread[]
  /** Kept apart over these as far as there is room: stronger than the score, weaker than every filter. */
  readonly spreadTopology: SpreadTopology
  readonly packing: Packing
  /** Undefined: the cluster's. */
  readonly weights: ScoreWeights | undefined
  /** Full name of its image. */
  readonly image: string
  /** What its image is made for, such as "linux/arm64"; empty: not known. */
  readonly platforms: readonly string[]
  /** Wished for, of the node's network: each one missing costs. */
  readonly networkFeatures: readonly string[]
  readonly wantsPublicAddress: boolean
  /** One for every node that will do: it also goes to nodes that are cordoned or drained, and stays on them. */
  readonly isDaemon: boolean
}

export interface PendingReplica {
  readonly id: string
  readonly kind: ReplicaKind
  /** Nodes it must not go to: the one being drained, or lost. */
  readonly excludedNodeIds: readonly string[]
  /** The only node it may go to. Undefined: any. */
  readonly boundNodeId?: string | undefined
  /** Nodes it goes to only when no other will do: one on which an earlier attempt has failed. */
  readonly avoidedNodeIds?: readonly string[]
}

export type Holding = 'holding' | 'leaving' | 'nominated'

/** A replica that takes a node's capacity. */
export interface PlacedReplica {
  readonly id: string
  readonly nodeId: string
  readonly kind: ReplicaKind
  /** Only what is `holding` counts for affinity and spread; all count for capacity. */
  readonly holding: Holding
}

/** Any numbers that are not negative: they are normalised to a sum of 1. Defaults 0.30, 0.25, 0.15, 0.20, 0.10. */
export interface ScoreWeights {
  readonly locality: number
  readonly reliability: number
  readonly cost: number
  readonly utilization: number
  readonly networkPenalty: number
}

export type TermName =
  | 'locality'
  | 'reliability'
  | 'cost'
  | 'utilization'
  | 'network_penalty'
  | 'affinity'
  | 'image'
  | 'device'

/** One part of a score. */
export interface ScoreTerm {
  readonly name: TermName
  /** On the term's own scale, 0 to 100; device -100 to 0, affinity -200 to 100. */
  readonly value: number
  /** What a full value adds to the score; negative for what takes away. */
  readonly weight: number
  /** `value / 100 * weight`: what it adds to the score. */
  readonly contribution: number
}

/** "2 of 3 nodes: not enough memory". */
export interface RejectionCount {
  readonly reason: string
  readonly nodeCount: number
}

export type Placement = Placed | Unplaceable

export interface Placed {
  readonly kind: 'placed'
  readonly replicaId: string
  readonly nodeId: string
  /** 0 to 1. */
  readonly score: number
}

export interface Unplaceable {
  readonly kind: 'unplaceable'
  readonly replicaId: string
  /** All there are; of a bound replica 1. */
  readonly nodeCount: number
  /** Most common first; the numbers sum to `nodeCount`. */
  readonly rejections: readonly RejectionCount[]
  /** Names of the filters that refused a node, in order of the alphabet: what could help depends on them. */
  readonly filters: readonly string[]
}

/** What the scheduler thinks of one node for one replica. */
export type Verdict =
  | {
      readonly kind: 'rejected'
      readonly nodeId: string
      readonly filter: string
      readonly reason: string
    }
  | {
      readonly kind: 'feasible'
      readonly nodeId: string
      /** 0 to 1. */
      readonly score: number
      readonly terms: readonly ScoreTerm[]
      /** Replicas of the workload in the node's place, for its spread topology. */
      readonly replicasInPlace: number
    }

/** What stopping some replicas would make possible. */
export interface Preemption {
  readonly nodeId: string
  /** Lowest priority first; empty when what is leaving makes enough room. */
  readonly victimIds: readonly string[]
  /** Of a lower priority, for which room is being made there, and which will not fit beside it. Lowest priority first. */
  readonly displacedIds: readonly string[]
}

/** What would become of one replica. */
export interface SimulatedMove {
  readonly replica: PlacedReplica
  readonly placement: Placement
}
