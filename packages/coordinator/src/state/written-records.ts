/**
 * The records that this process is writing, until its picture shows them: what the store then delivers is the very record
 * that was written, and need not be read from its bytes. So all replicas made of one workload go on sharing its spec.
 */
import type { Transaction, Write } from '@cloudless/metadata'
import { encodeRecord, keyOf, type RecordByKind, type RecordKind } from './records.ts'

/** What `putRecord` makes. The store takes no notice of the record. */
export interface RecordWrite<K extends RecordKind = RecordKind> {
  readonly kind: 'put'
  readonly key: string
  readonly value: Uint8Array
  readonly id: string
  readonly record: RecordByKind[K]
}

/** The record is the picture's from here on: it is not changed any more. */
export function putRecord<K extends RecordKind>(
  kind: K,
  id: string,
  record: RecordByKind[K],
): RecordWrite<K> {
  return { kind: 'put', key: keyOf(kind, id), value: encodeRecord(kind, record), id, record }
}

export class WrittenRecords {
  readonly #byKey = new Map<string, RecordWrite>()

  /** Before the transaction is handed to the store. */
  expect({ writes }: Transaction): void {
    for (const write of writes) if (isRecordWrite(write)) this.#byKey.set(write.key, write)
  }

  /** The transaction was refused, failed, or is in the picture. */
  forget({ writes }: Transaction): void {
    for (const write of writes) {
      if (isRecordWrite(write) && this.#byKey.get(write.key) === write)
        this.#byKey.delete(write.key)
    }
  }

  /** What was written when the store delivers these bytes; undefined when they are somebody else's. */
  find(key: string, value: Uint8Array): RecordWrite | undefined {
    const write = this.#byKey.get(key)
    return write && Buffer.compare(write.value, value) === 0 ? write : undefined
  }
}

function isRecordWrite(write: Write): write is RecordWrite {
  return 'record' in write
}
