/** Writes a store down as a dump, in little memory. */
import type { Entry, MetadataStore, Snapshot } from '../store.ts'
import {
  createDumpHash,
  DumpTally,
  encodeDumpedEntry,
  encodeDumpEnd,
  encodeDumpHead,
  type DumpSummary,
} from './dump-format.ts'

export interface DumpOptions {
  /** Keys under these are left out: those that live under leases. */
  readonly withoutPrefixes?: readonly string[]
}

export interface Dump {
  readonly revision: number
  /** To be read once; ends the snapshot when it ends or is broken off. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Of what was read so far. */
  readonly summary: DumpSummary
  /** For a dump that is not read after all. */
  close(): Promise<void>
}

const pageEntriesMax = 1_000
const pageBytes = 1024 * 1024
const chunkBytes = 64 * 1024

/** Everything of one revision, while writes go on. */
export async function dumpStore(
  store: Pick<MetadataStore, 'snapshot'>,
  { withoutPrefixes = [] }: DumpOptions = {},
): Promise<Dump> {
  const snapshot = await store.snapshot()
  const { revision } = snapshot
  const tally = new DumpTally()

  async function* chunks(): AsyncGenerator<Uint8Array> {
    const hash = createDumpHash()
    const gathered = new Gathered()
    const add = (bytes: Buffer): void => {
      hash.update(bytes)
      gathered.add(bytes)
    }
    try {
      add(encodeDumpHead(revision))
      for await (const entry of entriesOf(snapshot)) {
        if (withoutPrefixes.some((prefix) => entry.key.startsWith(prefix))) continue
        add(encodeDumpedEntry(entry))
        tally.add(entry.key, entry.value.byteLength)
        if (gathered.bytes >= chunkBytes) yield gathered.take()
      }
      gathered.add(encodeDumpEnd(tally, hash))
      yield gathered.take()
    } finally {
      await snapshot.close()
    }
  }

  return {
    revision,
    chunks: chunks(),
    get summary() {
      return tally.summary(revision)
    },
    close: () => snapshot.close(),
  }
}

/** In pages of about a megabyte, whatever the values are like. */
async function* entriesOf(snapshot: Snapshot): AsyncGenerator<Entry> {
  let limit = 100
  for (let afterKey: string | undefined; ;) {
    const page = await snapshot.list('', { limit, ...(afterKey !== undefined && { afterKey }) })
    yield* page.entries
    afterKey = page.entries.at(-1)?.key
    if (!page.more || afterKey === undefined) return
    const bytes = page.entries.reduce((sum, { value }) => sum + value.byteLength, 1)
    const fitting = Math.floor((pageBytes * page.entries.length) / bytes)
    limit = Math.min(pageEntriesMax, 2 * limit, Math.max(1, fitting))
  }
}

class Gathered {
  #parts: Buffer[] = []
  bytes = 0

  add(part: Buffer): void {
    this.#parts.push(part)
    this.bytes += part.length
  }

  take(): Buffer {
    const all = Buffer.concat(this.#parts)
    this.#parts = []
    this.bytes = 0
    return all
  }
}
