/**
 * What the scheduler sees and says. Plain values in plain units; the coordinator's driver makes them from its records.
 */

/** CPU in thousandths of a core, sizes in bytes, bandwidth in bits per second. */
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

export interface Affinity {
  readonly subject: 'node' | 'workload'
  readonly matchLabels: Readonly<Record<string, string>>
  /** Nodes with the same value of this label are one place; "node", "zone" and "region" are understood on every node. */
  readonly topologyKey: string
  readonly required: boolean
  /** 1 to 100; only for wishes. */
  readonly weight: number
}

/** Only `ready` takes new replicas; the others are there to be counted and named in reasons. */
export type NodePhase =
  | 'unknown'
  | 'enrolling'
  | 'ready'
  | 'draining'
  | 'cordoned'
  | 'offline'
  | 'failed'

export interface NodeView {
  readonly id: string
  readonly name: string
  readonly region: string
  readonly zone: string
  readonly phase: NodePhase
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
  readonly allocatable: Resources
  /** Sum of the fragments on it. */
  readonly reserved: Resources
  readonly gpuModels: readonly string[]
  readonly iopsClass: string
  readonly architecture: string
  readonly os: string
  /** 0 to 1. */
  readonly reliability: number
  readonly memoryPressure: boolean
  readonly diskPressure: boolean
  readonly networkUnavailable: boolean
  /** "80/TCP" for each host port taken by a replica on it. */
  readonly hostPorts: ReadonlySet<string>
  /** Replicas on it: for workload affinity and spread. */
  readonly replicas: readonly PlacedReplica[]
}

export interface PlacedReplica {
  readonly id: string
  readonly workloadId: string
  readonly labels: Readonly<Record<string, string>>
}

export interface PendingReplica {
  readonly id: string
  readonly workloadId: string
  readonly namespace: string
  /** Labels of its workload. */
  readonly labels: Readonly<Record<string, string>>
  readonly requests: Resources
  /** Empty: any model. */
  readonly gpuModels: readonly string[]
  /** Lowest acceptable class; empty: any. */
  readonly iopsClass: string
  readonly hostPorts: readonly string[]
  /** Higher is placed first. */
  readonly priority: number
  readonly regions: readonly string[]
  readonly zones: readonly string[]
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly nodeRequirements: readonly SelectorRequirement[]
  readonly affinity: readonly Affinity[]
  readonly antiAffinity: readonly Affinity[]
  readonly tolerations: readonly Toleration[]
  readonly spreadTopology: '' | 'node' | 'zone' | 'region'
  /** OCI names of the processors its image is made for; not known when absent or empty. */
  readonly architectures?: readonly string[]
  /** Nodes it must not go to: the one being drained, or lost. */
  readonly excludedNodeIds: readonly string[]
}

/** Any positive numbers: they are normalised to a sum of 1. Defaults 0.30, 0.25, 0.15, 0.20, 0.10. */
export interface ScoreWeights {
  readonly locality: number
  readonly reliability: number
  readonly cost: number
  readonly utilization: number
  readonly networkPenalty: number
}

/** Each term 0 to 1. */
export interface ScoreTerms {
  readonly locality: number
  readonly reliability: number
  readonly cost: number
  readonly utilization: number
  readonly networkPenalty: number
  /** Wishes, spread and preferred taints: added to the sum, -1 to 1. */
  readonly preference: number
}

/** "2 of 3 nodes: not enough memory". */
export interface RejectionCount {
  readonly reason: string
  readonly nodeCount: number
}

export type Placement =
  | {
      readonly kind: 'placed'
      readonly replicaId: string
      readonly nodeId: string
      /** 0 to 1. */
      readonly score: number
      readonly terms: ScoreTerms
    }
  | {
      readonly kind: 'unplaceable'
      readonly replicaId: string
      readonly nodeCount: number
      /** Most common first. */
      readonly rejections: readonly RejectionCount[]
    }
