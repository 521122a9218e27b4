/** For tests: records with as little in them as they can have. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  NodePhase,
  NodeRecordSchema,
  NodeSchema,
  NodeStatusSchema,
  ReplicaRecordSchema,
  ReplicaState,
  ReplicaStatusSchema,
  ResourceCapacitySchema,
  WorkloadRecordSchema,
  WorkloadSchema,
  WorkloadSpecSchema,
  type NodeRecord,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'

type Spec = MessageInitShape<typeof WorkloadSpecSchema>
type Status = MessageInitShape<typeof ReplicaStatusSchema>

export interface WorkloadFacts {
  readonly id?: string
  readonly name?: string
  readonly namespace?: string
  readonly revision?: bigint
  readonly deletedAtMs?: bigint
  readonly spec?: Spec
}

export function workloadRecord(facts: WorkloadFacts = {}): WorkloadRecord {
  const { name = 'web', namespace = 'default', revision = 1n, deletedAtMs = 0n } = facts
  const id = facts.id ?? `${namespace}-${name}`
  const spec = create(WorkloadSpecSchema, { image: 'nginx', replicas: 1, ...facts.spec })
  return create(WorkloadRecordSchema, {
    deletedAtMs,
    workload: create(WorkloadSchema, { id, name, namespace, revision, spec }),
  })
}

export interface ReplicaFacts extends Omit<
  MessageInitShape<typeof ReplicaRecordSchema>,
  '$typeName' | '$unknown' | 'status'
> {
  readonly status?: Status
}

/** Of workload "default-web", revision 1, waiting for a place. */
export function replicaRecord(id: string, facts: ReplicaFacts = {}): ReplicaRecord {
  const { status, ...rest } = facts
  return create(ReplicaRecordSchema, {
    ...rest,
    spec: create(WorkloadSpecSchema, { image: 'nginx', replicas: 1, ...(rest.spec as Spec) }),
    status: create(ReplicaStatusSchema, {
      id,
      workloadId: 'default-web',
      workloadName: 'web',
      namespace: 'default',
      revision: 1n,
      state: ReplicaState.PENDING,
      lastExitCode: -1,
      createdAtMs: 1n,
      ...status,
    }),
  })
}

/** Ready on a node. */
export function readyReplica(id: string, nodeId: string, facts: ReplicaFacts = {}): ReplicaRecord {
  const { status, ...rest } = facts
  return replicaRecord(id, {
    ...rest,
    status: { state: ReplicaState.RUNNING, ready: true, readyAtMs: 1n, nodeId, ...status },
  })
}

export interface NodeFacts extends Omit<
  MessageInitShape<typeof NodeRecordSchema>,
  '$typeName' | '$unknown' | 'node'
> {
  readonly phase?: NodePhase
  readonly node?: MessageInitShape<typeof NodeSchema>
}

/** Ready, with room for a thousand small replicas. */
export function nodeRecord(id: string, facts: NodeFacts = {}): NodeRecord {
  const { phase = NodePhase.READY, node, ...rest } = facts
  const capacity = create(ResourceCapacitySchema, {
    cpuMillicores: 100_000,
    memoryBytes: 1n << 40n,
    storageBytes: 1n << 40n,
    bandwidthBps: 1_000_000_000n,
  })
  return create(NodeRecordSchema, {
    ...rest,
    node: create(NodeSchema, {
      id,
      name: id.replace(/^node-/, ''),
      capacity,
      allocatable: capacity,
      status: create(NodeStatusSchema, { phase }),
      ...node,
    }),
  })
}
