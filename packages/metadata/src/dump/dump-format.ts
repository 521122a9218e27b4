/**
 * A dump: every key and value of a store at one revision, as bytes that do not depend on the engine. Pure.
 *
 *     head     "CLDUMP" and the version of the format (u16), the revision (u64)
 *     entry    length of the key (u16, not 0), length of the value (u32), key, value     in order of keys
 *     end      0 (u16), entries (u64), bytes of keys and values (u64), SHA-256 of all before it
 *
 * Numbers are big-endian. What follows the end is no part of it.
 */
import { createHash } from 'node:crypto'
import { CloudlessError } from '@cloudless/base'
import { keyBytesMax, problemWithKey, valueBytesMax } from '../rules.ts'

export interface DumpCounts {
  readonly entries: number
  /** Of keys and values. */
  readonly bytes: number
}

export interface DumpSummary extends DumpCounts {
  readonly revision: number
  /** Entries by what their keys begin with, up to the first "/". */
  readonly byKind: Readonly<Record<string, number>>
}

/** Counts entries as they pass. */
export class DumpTally implements DumpCounts {
  entries = 0
  bytes = 0
  readonly #byKind = new Map<string, number>()

  add(key: string, valueBytes: number): void {
    this.entries++
    this.bytes += key.length + valueBytes
    const kind = key.split('/', 1)[0]!
    this.#byKind.set(kind, (this.#byKind.get(kind) ?? 0) + 1)
  }

  summary(revision: number): DumpSummary {
    const { entries, bytes } = this
    return { revision, entries, bytes, byKind: Object.fromEntries(this.#byKind) }
  }
}

export interface DumpedEntry {
  readonly key: string
  readonly value: Uint8Array
}

const magic = 'CLDUMP'
const formatVersion = 1
export const dumpHeadBytes = magic.length + 2 + 8
export const entryHeadBytes = 2 + 4
export const dumpEndBytes = 2 + 8 + 8 + 32

export function encodeDumpHead(revision: number): Buffer {
  const head = Buffer.alloc(dumpHeadBytes)
  head.write(magic, 'latin1')
  head.writeUInt16BE(formatVersion, magic.length)
  head.writeBigUInt64BE(BigInt(revision), magic.length + 2)
  return head
}

/** The revision. `corrupt_data` when it is no dump, `failed_precondition` when a newer version wrote it. */
export function decodeDumpHead(head: Buffer): number {
  if (head.toString('latin1', 0, magic.length) !== magic) throw damaged('it does not begin as one')
  const written = head.readUInt16BE(magic.length)
  if (written > formatVersion) {
    throw new CloudlessError(
      'failed_precondition',
      `reading a dump of the metadata: it has format ${written}, and this version reads up to ${formatVersion}; ` +
        'use the version of Cloudless that wrote it, or a newer one',
    )
  }
  return Number(head.readBigUInt64BE(magic.length + 2))
}

export function encodeDumpedEntry({ key, value }: DumpedEntry): Buffer {
  const encoded = Buffer.allocUnsafe(entryHeadBytes + key.length + value.byteLength)
  encoded.writeUInt16BE(key.length, 0)
  encoded.writeUInt32BE(value.byteLength, 2)
  encoded.write(key, entryHeadBytes, 'latin1')
  encoded.set(value, entryHeadBytes + key.length)
  return encoded
}

/** Lengths of key and value; undefined at the end of the entries. */
export function decodeEntryHead(
  head: Buffer,
): { readonly keyBytes: number; readonly valueBytes: number } | undefined {
  const keyBytes = head.readUInt16BE(0)
  if (keyBytes === 0) return undefined
  const valueBytes = head.readUInt32BE(2)
  if (keyBytes > keyBytesMax || valueBytes > valueBytesMax) {
    throw damaged('an entry is longer than any can be')
  }
  return { keyBytes, valueBytes }
}

/** `corrupt_data` when it is no key, or does not come after the one before. */
export function decodeKey(bytes: Buffer, before: string): string {
  const key = bytes.toString('latin1')
  if (problemWithKey(key) !== undefined || key <= before) throw damaged('its keys are no keys')
  return key
}

/** `hash` has seen all that comes before. */
export function encodeDumpEnd({ entries, bytes }: DumpCounts, hash: DumpHash): Buffer {
  const end = Buffer.alloc(dumpEndBytes)
  end.writeBigUInt64BE(BigInt(entries), 2)
  end.writeBigUInt64BE(BigInt(bytes), 10)
  hash.update(end.subarray(0, 18))
  end.set(hash.digest(), 18)
  return end
}

/** `corrupt_data` when the end is not that of what was read. */
export function checkDumpEnd(end: Buffer, read: DumpCounts, hash: DumpHash): void {
  if (!encodeDumpEnd(read, hash).equals(end)) throw damaged('its checksum is another')
}

export interface DumpHash {
  update(bytes: Uint8Array): void
  digest(): Buffer
}

export function createDumpHash(): DumpHash {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() }
}

export function damaged(how: string): CloudlessError {
  return new CloudlessError(
    'corrupt_data',
    `reading a dump of the metadata: it is damaged (${how}); use another backup`,
  )
}
