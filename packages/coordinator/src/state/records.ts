/**
 * How records become bytes in the metadata store, and under which keys.
 *
 * A value is one byte of schema version and the record's protobuf form. Fields are only added to the messages, so a
 * version changes only when the meaning of an old field does; readers then migrate by version in `RecordDecoder`.
 */
import { CloudlessError } from '@cloudless/base'
import {
  ClusterRecordSchema,
  CoordinatorRecordSchema,
  JoinTokenRecordSchema,
  NodeRecordSchema,
  RemovedNodeRecordSchema,
  ReplicaRecordSchema,
  RevisionRecordSchema,
  WorkloadRecordSchema,
  type ClusterRecord,
  type CoordinatorRecord,
  type JoinTokenRecord,
  type NodeRecord,
  type RemovedNodeRecord,
  type ReplicaRecord,
  type RevisionRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import { encodeReplica, ReplicaDecoder } from './replica-coding.ts'

const schemaVersion = 1

export interface RecordByKind {
  readonly node: NodeRecord
  readonly workload: WorkloadRecord
  readonly replica: ReplicaRecord
  readonly revision: RevisionRecord
  readonly token: JoinTokenRecord
  readonly removed: RemovedNodeRecord
  readonly cluster: ClusterRecord
  readonly coordinator: CoordinatorRecord
}

export type RecordKind = keyof RecordByKind

const schemaByKind = {
  node: NodeRecordSchema,
  workload: WorkloadRecordSchema,
  replica: ReplicaRecordSchema,
  revision: RevisionRecordSchema,
  token: JoinTokenRecordSchema,
  removed: RemovedNodeRecordSchema,
  cluster: ClusterRecordSchema,
  coordinator: CoordinatorRecordSchema,
} as const satisfies Record<RecordKind, DescMessage>

const prefixByKind: Readonly<Record<RecordKind, string>> = {
  node: 'nodes/',
  workload: 'workloads/',
  replica: 'replicas/',
  revision: 'revisions/',
  token: 'join-tokens/',
  removed: 'removed-nodes/',
  cluster: 'cluster/',
  coordinator: 'coordinators/',
}

export const recordKinds = Object.keys(prefixByKind) as readonly RecordKind[]

export function keyOf(kind: RecordKind, id: string): string {
  return prefixByKind[kind] + id
}

/** The claim on a node's name: makes names unique in one transaction. Its value is the node's id. */
export function nodeNameKey(name: string): string {
  return `node-names/${name}`
}

/** The claim on a node's subnet, as `nodeNameKey` is on its name. */
export function nodeSubnetKey(podCidr: string): string {
  return `node-subnets/${podCidr}`
}

/** Which record a key belongs to; undefined for keys of others (claims, events, idempotency). */
export function parseKey(key: string): { kind: RecordKind; id: string } | undefined {
  for (const kind of recordKinds) {
    const prefix = prefixByKind[kind]
    if (key.startsWith(prefix)) return { kind, id: key.slice(prefix.length) }
  }
  return undefined
}

export function encodeRecord<K extends RecordKind>(kind: K, record: RecordByKind[K]): Uint8Array {
  if (kind === 'replica') return encodeReplica(schemaVersion, record as ReplicaRecord)
  const body = toBinary(schemaByKind[kind] as DescMessage, record)
  const value = new Uint8Array(body.length + 1)
  value[0] = schemaVersion
  value.set(body, 1)
  return value
}

/** Reads records; replicas read by the same decoder share what they have in common. */
export class RecordDecoder {
  readonly #replicas = new ReplicaDecoder()

  /** Throws `corrupt_data` when the bytes are not a record this version can read. */
  decode<K extends RecordKind>(kind: K, key: string, value: Uint8Array): RecordByKind[K] {
    if (value[0] !== schemaVersion) {
      throw new CloudlessError(
        'corrupt_data',
        `the stored ${kind} at ${key} has schema version ${value[0]}; this coordinator reads ` +
          `version ${schemaVersion}. It was written by a newer version: upgrade this coordinator`,
      )
    }
    try {
      return this.#read(kind, value.subarray(1)) as RecordByKind[K]
    } catch (reason) {
      throw new CloudlessError('corrupt_data', `the stored ${kind} at ${key} cannot be read`, {
        cause: reason,
      })
    }
  }

  #read(kind: RecordKind, body: Uint8Array): MessageShape<DescMessage> {
    return kind === 'replica'
      ? this.#replicas.decode(body)
      : fromBinary(schemaByKind[kind] as DescMessage, body)
  }
}
