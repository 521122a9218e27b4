/** For tests: what a coordinator knows, in memory, with builders for nodes, workloads and replicas. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  EventSchema,
  JoinTokenSchema,
  NodePhase,
  NodeSchema,
  ReplicaState,
  ReplicaStatusSchema,
  ResourcePoolSchema,
  SchedulerConfigurationSchema,
  SimulateNodesResponseSchema,
  WorkloadPhase,
  WorkloadSchema,
  type Event,
  type Fragment,
  type JoinToken,
  type Node,
  type ReplicaExplanation,
  type ReplicaStatus,
  type ResourcePool,
  type ScheduleDecision,
  type SchedulerConfiguration,
  type SimulateNodesResponse,
  type Workload,
  type WorkloadRevision,
  type MassLossStatus,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { EventEmitter } from 'node:events'

export interface FakeState {
  readonly nodes: Node[]
  readonly workloads: Workload[]
  readonly replicas: ReplicaStatus[]
  readonly tokens: JoinToken[]
  readonly events: Event[]
  /** Of every workload. */
  readonly revisions: WorkloadRevision[]
  massLoss?: MassLossStatus
  /** Backups end half-way. */
  backupBreaksOff?: boolean
  /** What the last one was asked to be encrypted with. */
  backupProtection?: { readonly case: string | undefined; readonly value?: unknown }
  isRecovered?: boolean
  /** What the scheduler is asked gets these answers. */
  readonly scheduling: FakeScheduling
  /** Every call: its method, and the headers it came with. */
  readonly calls: {
    readonly method: string
    readonly headers: Headers
    readonly request: unknown
  }[]
  /** Emits "change" when a watch should look again. */
  readonly changes: EventEmitter
  /** Pages are never longer, whatever is asked for. */
  pageMax: number
}

export interface FakeScheduling {
  decisions: ScheduleDecision[]
  explanations: ReplicaExplanation[]
  simulation: SimulateNodesResponse
  pool: ResourcePool
  readonly fragments: Fragment[]
  configuration: SchedulerConfiguration
}

export function emptyState(): FakeState {
  const changes = new EventEmitter()
  changes.setMaxListeners(0)
  return {
    nodes: [],
    workloads: [],
    replicas: [],
    tokens: [],
    events: [],
    revisions: [],
    scheduling: {
      decisions: [],
      explanations: [],
      simulation: create(SimulateNodesResponseSchema),
      pool: create(ResourcePoolSchema, { cluster: { name: 'cluster' } }),
      fragments: [],
      configuration: fileConfiguration(),
    },
    calls: [],
    changes,
    pageMax: 1_000,
  }
}

/** What the coordinator's configuration file says. */
export function fileConfiguration(): SchedulerConfiguration {
  return create(SchedulerConfigurationSchema, {
    weights: {
      locality: 0.3,
      reliability: 0.25,
      cost: 0.15,
      utilization: 0.2,
      networkPenalty: 0.1,
    },
    packing: 'binpack',
    spreadTopology: 'zone',
    cpuOvercommit: 1,
    memoryOvercommit: 1,
    preemptionPriorityAbove: 100,
    resourceVersion: 3n,
  })
}

export function aNode(init: MessageInitShape<typeof NodeSchema> & { name: string }): Node {
  return create(NodeSchema, {
    id: `node-${init.name}`,
    region: 'home',
    zone: 'zone-a',
    status: { phase: NodePhase.READY },
    capacity: { cpuMillicores: 2_000, memoryBytes: 2n ** 31n, storageBytes: 10n ** 10n },
    allocatable: { cpuMillicores: 1_800, memoryBytes: 2n ** 30n, storageBytes: 10n ** 10n },
    usage: { cpuMillicores: 250, memoryBytes: 2n ** 29n },
    reliabilityScore: 0.987,
    createdAtMs: BigInt(systemClock.wallMs() - 3_600_000),
    addresses: ['10.88.0.11'],
    podCidr: '10.244.1.0/24',
    ...init,
  } as MessageInitShape<typeof NodeSchema>)
}

export function aWorkload(
  init: MessageInitShape<typeof WorkloadSchema> & { name: string },
): Workload {
  const namespace = init.namespace ?? 'default'
  return create(WorkloadSchema, {
    id: `${namespace}-${init.name}`,
    namespace,
    spec: { image: 'nginx:1.25', replicas: 2, ports: [{ containerPort: 80 }] },
    status: { phase: WorkloadPhase.RUNNING, readyReplicas: 2, desiredReplicas: 2 },
    createdAtMs: BigInt(systemClock.wallMs() - 120_000),
    revision: 1n,
    resourceVersion: 7n,
    ...init,
  } as MessageInitShape<typeof WorkloadSchema>)
}

export function aReplica(
  workload: Workload,
  suffix: string,
  init: MessageInitShape<typeof ReplicaStatusSchema> = {},
): ReplicaStatus {
  return create(ReplicaStatusSchema, {
    id: `${workload.name}-${suffix}`,
    workloadId: workload.id,
    workloadName: workload.name,
    namespace: workload.namespace,
    revision: workload.revision,
    nodeId: 'node-a',
    nodeName: 'a',
    state: ReplicaState.RUNNING,
    ready: true,
    serving: true,
    address: '10.244.1.7',
    ports: [{ containerPort: 80 }],
    createdAtMs: BigInt(systemClock.wallMs() - 60_000),
    ...init,
  } as MessageInitShape<typeof ReplicaStatusSchema>)
}

export function aToken(init: MessageInitShape<typeof JoinTokenSchema>): JoinToken {
  const nowMs = systemClock.wallMs()
  return create(JoinTokenSchema, {
    id: 'jt-abcdefgh2345',
    createdAtMs: BigInt(nowMs - 1_000),
    expiresAtMs: BigInt(nowMs + 3_600_000),
    maxUses: 1,
    ...init,
  } as MessageInitShape<typeof JoinTokenSchema>)
}

export function anEvent(init: MessageInitShape<typeof EventSchema> & { sequence: bigint }): Event {
  return create(EventSchema, {
    type: 'node.enrolled',
    severity: 'info',
    timestampMs: BigInt(systemClock.wallMs()),
    resourceType: 'node',
    resourceId: 'node-a',
    description: 'node a joined',
    success: true,
    ...init,
  } as MessageInitShape<typeof EventSchema>)
}
