/**
 * How replicas become bytes and are read again, with regard to what those of one workload have in common: its bytes are
 * made once, and once read it is shared. So a million replicas hold a thousand specs, and not a million.
 *
 * What is shared is told by its bytes when it is read and by its identity when it is written: nothing else needs to be
 * known of the workload, and a replica that shares nothing is only as slow as it would be anyway.
 */
import {
  ReplicaRecordSchema,
  ReplicaStatusSchema,
  type ReplicaRecord,
  type ReplicaStatus,
} from '@cloudless/api'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { BinaryReader } from '@bufbuild/protobuf/wire'

/** Parts that are kept for those that follow; beyond it they begin anew. */
const partsMax = 10_000

const { status: statusField, spec, labels } = ReplicaRecordSchema.field
const { resources, ports } = ReplicaStatusSchema.field
const ofStatus = new Set([statusField.number])
const sharedOfRecord = new Set([spec.number, labels.number])
const sharedOfStatus = new Set([resources.number, ports.number])
/** The same for many replicas. */
const sharedTexts = ['workloadId', 'workloadName', 'namespace', 'nodeId', 'nodeName'] as const

/** Of a spec and the labels it was last seen with: their fields of a record. */
const commonBytes = new WeakMap<object, { readonly labels: object; readonly bytes: Uint8Array }>()

/** `head` comes before what is written of the replica. */
export function encodeReplica(head: number, replica: ReplicaRecord): Uint8Array {
  const { spec, ...rest } = replica
  const own = toBinary(ReplicaRecordSchema, spec ? { ...rest, labels: {} } : replica)
  const common = spec ? commonBytesOf(spec, replica.labels) : own.subarray(0, 0)
  // From Node's pool: a buffer of its own costs more than all the rest, and the store takes a copy.
  const value = Buffer.allocUnsafe(1 + own.length + common.length)
  value[0] = head
  value.set(own, 1)
  value.set(common, 1 + own.length)
  return value
}

function commonBytesOf(
  spec: NonNullable<ReplicaRecord['spec']>,
  labels: ReplicaRecord['labels'],
): Uint8Array {
  const known = commonBytes.get(spec)
  if (known?.labels === labels) return known.bytes
  const bytes = toBinary(ReplicaRecordSchema, create(ReplicaRecordSchema, { spec, labels }))
  commonBytes.set(spec, { labels, bytes })
  return bytes
}

export class ReplicaDecoder {
  readonly #recordParts = new Parts<Pick<ReplicaRecord, 'spec' | 'labels'>>((bytes) =>
    fromBinary(ReplicaRecordSchema, bytes),
  )
  readonly #statusParts = new Parts<Pick<ReplicaStatus, 'resources' | 'ports'>>((bytes) =>
    fromBinary(ReplicaStatusSchema, bytes),
  )
  readonly #texts = new Map<string, string>()

  /** Throws when the bytes are not a replica record's. */
  decode(bytes: Uint8Array): ReplicaRecord {
    const [statusBytes, other] = split(bytes, ofStatus)
    const [shared, own] = split(other, sharedOfRecord)
    const record = fromBinary(ReplicaRecordSchema, own)
    const { spec, labels } = this.#recordParts.of(shared)
    if (spec) record.spec = spec
    record.labels = labels
    if (statusBytes.length > 0) record.status = this.#status(contentOf(statusBytes))
    return record
  }

  #status(bytes: Uint8Array): ReplicaStatus {
    const [shared, own] = split(bytes, sharedOfStatus)
    const status = fromBinary(ReplicaStatusSchema, own)
    const { resources, ports } = this.#statusParts.of(shared)
    if (resources) status.resources = resources
    status.ports = ports
    for (const field of sharedTexts) status[field] = this.#text(status[field])
    return compactStatus(status)
  }

  #text(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size >= partsMax) this.#texts.clear()
    this.#texts.set(text, text)
    return text
  }
}

/**
 * The same, in a quarter of the memory: the library sets the fields of a message one by one by name, and an object with so
 * many becomes a hash table; a copy of it is a plain row of fields again.
 */
export function compactStatus(status: ReplicaStatus): ReplicaStatus {
  return { ...status }
}

/** What was read of these bytes before, or is now. */
class Parts<Part> {
  readonly #read: (bytes: Uint8Array) => Part
  readonly #known = new Map<string, Part>()

  constructor(read: (bytes: Uint8Array) => Part) {
    this.#read = read
  }

  of(bytes: Uint8Array): Part {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#known.size >= partsMax) this.#known.clear()
    const part = this.#read(bytes)
    this.#known.set(key, part)
    return part
  }
}

/** The fields with these numbers, tags and all, and the others; each in the order they came. */
function split(bytes: Uint8Array, numbers: ReadonlySet<number>): [Uint8Array, Uint8Array] {
  const reader = new BinaryReader(bytes)
  const chosen: Uint8Array[] = []
  const others: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const start = reader.pos
    const [number, wireType] = reader.tag()
    reader.skip(wireType, number)
    const field = bytes.subarray(start, reader.pos)
    if (numbers.has(number)) chosen.push(field)
    else others.push(field)
  }
  return [joined(chosen), joined(others)]
}

/** A message that comes in several parts is what they make one after another. */
function contentOf(fields: Uint8Array): Uint8Array {
  const reader = new BinaryReader(fields)
  const contents: Uint8Array[] = []
  while (reader.pos < reader.len) {
    reader.tag()
    contents.push(reader.bytes())
  }
  return joined(contents)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}
