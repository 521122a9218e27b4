/** Puts what a dump holds into a store that is empty. */
import { ByteReader, CloudlessError } from '@cloudless/base'
import { operationsPerTransactionMax } from '../rules.ts'
import type { MetadataStore, Write } from '../store.ts'
import {
  checkDumpEnd,
  createDumpHash,
  damaged,
  DumpTally,
  decodeDumpHead,
  decodeEntryHead,
  decodeKey,
  dumpEndBytes,
  dumpHeadBytes,
  entryHeadBytes,
  type DumpedEntry,
  type DumpSummary,
} from './dump-format.ts'

export interface LoadOptions {
  /** Keys under these are not loaded. */
  readonly withoutPrefixes?: readonly string[]
}

type Put = Extract<Write, { kind: 'put' }>

/** Well below what a transaction takes, so that no engine is long about one. */
const batchBytes = 1024 * 1024

/**
 * Resolves with what the dump holds once all of it is stored. A store that it rejects for has a part: it is to be thrown
 * away. `corrupt_data` when the dump is damaged or cut off, `failed_precondition` when the store is not empty or the dump is
 * of a newer format.
 */
export async function loadStore(
  store: Pick<MetadataStore, 'list' | 'transact'>,
  chunks: AsyncIterable<Uint8Array>,
  { withoutPrefixes = [] }: LoadOptions = {},
): Promise<DumpSummary> {
  await requireEmpty(store)
  let writes: Put[] = []
  let bytes = 0
  const commit = async (): Promise<void> => {
    if (writes.length === 0) return
    const preconditions = writes.map(({ key }) => ({ kind: 'absent' as const, key }))
    const result = await store.transact({ preconditions, writes })
    if (result.kind === 'refused') throw notEmpty(result.failed.key)
    writes = []
    bytes = 0
  }
  const summary = await readDump(chunks, async ({ key, value }) => {
    if (withoutPrefixes.some((prefix) => key.startsWith(prefix))) return
    if (writes.length === operationsPerTransactionMax || bytes + value.byteLength > batchBytes) {
      await commit()
    }
    writes.push({ kind: 'put', key, value })
    bytes += 2 * key.length + value.byteLength
  })
  await commit()
  return summary
}

/** Reads a whole dump and checks it; `onEntry` gets each entry before the end is known to be right. */
export async function readDump(
  chunks: AsyncIterable<Uint8Array>,
  onEntry: (entry: DumpedEntry) => void | Promise<void>,
): Promise<DumpSummary> {
  const reader = new ByteReader(chunks)
  const hash = createDumpHash()
  const take = async (count: number): Promise<Buffer> => {
    const taken = await reader.take(count)
    if (taken === undefined) throw damaged('it is cut off')
    return taken
  }
  try {
    const head = await take(dumpHeadBytes)
    const revision = decodeDumpHead(head)
    hash.update(head)
    const tally = new DumpTally()
    let before = ''
    for (;;) {
      const entryHead = await reader.peek(entryHeadBytes)
      if (entryHead === undefined) throw damaged('it is cut off')
      const lengths = decodeEntryHead(entryHead)
      if (lengths === undefined) break
      const { keyBytes, valueBytes } = lengths
      const encoded = await take(entryHeadBytes + keyBytes + valueBytes)
      hash.update(encoded)
      const key = decodeKey(encoded.subarray(entryHeadBytes, entryHeadBytes + keyBytes), before)
      before = key
      tally.add(key, valueBytes)
      await onEntry({ key, value: encoded.subarray(entryHeadBytes + keyBytes) })
    }
    checkDumpEnd(await take(dumpEndBytes), tally, hash)
    if ((await reader.peek(1)) !== undefined) throw damaged('something follows its end')
    return tally.summary(revision)
  } finally {
    await reader.close()
  }
}

async function requireEmpty(store: Pick<MetadataStore, 'list'>): Promise<void> {
  const { entries } = await store.list('', { limit: 1 })
  if (entries[0] !== undefined) throw notEmpty(entries[0].key)
}

function notEmpty(key: string): CloudlessError {
  return new CloudlessError(
    'failed_precondition',
    `loading a dump: the metadata store is not empty (it has "${key}"); load it into a new one`,
  )
}
