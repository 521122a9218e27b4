/** For tests: the event log's store in memory, which can be made slow, full or uncertain. */
import { CloudlessError } from '@cloudless/base'
import type { EventStore, StoredEvent } from './event-store.ts'

type Transaction = Parameters<EventStore['transact']>[0]
type Change = { kind: 'put'; entry: StoredEvent } | { kind: 'delete'; key: string }

export class MemoryEventStore implements EventStore {
  readonly entries = new Map<string, StoredEvent>()
  readonly #history: { revision: number; changes: Change[] }[] = []
  readonly #wake = new Set<() => void>()
  transactions = 0
  /** Set to make the next transactions fail, before or after they were done. */
  failure: 'none' | 'full' | 'lost answer' = 'none'
  /** What transactions wait for before anything of them is done. */
  held: Promise<void> = Promise.resolve()

  async get(key: string): Promise<StoredEvent | undefined> {
    return this.entries.get(key)
  }

  async list(prefix: string, options: { limit?: number; afterKey?: string } = {}) {
    const { limit = Infinity, afterKey = '' } = options
    const found = [...this.entries.values()]
      .filter(({ key }) => key.startsWith(prefix) && key > afterKey)
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    const entries = found.slice(0, limit)
    return { entries, revision: this.#history.length, more: found.length > entries.length }
  }

  async transact({ preconditions = [], writes }: Transaction) {
    await this.held
    if (this.failure === 'full') throw new CloudlessError('resource_exhausted', 'the disk is full')
    const revision = this.#history.length + 1
    const refused = preconditions.some((one) => {
      const entry = this.entries.get(one.key)
      return one.kind === 'absent' ? entry !== undefined : entry?.modRevision !== one.modRevision
    })
    if (refused) return { kind: 'refused', revision: revision - 1 } as const
    this.transactions++
    const changes = writes.map((write): Change => {
      if (write.kind === 'delete') {
        this.entries.delete(write.key)
        return write
      }
      const entry = { key: write.key, value: write.value, modRevision: revision }
      this.entries.set(write.key, entry)
      return { kind: 'put', entry }
    })
    this.#history.push({ revision, changes })
    for (const wake of this.#wake) wake()
    if (this.failure === 'lost answer') {
      this.failure = 'none'
      throw new CloudlessError('unavailable', 'gone', { details: { outcome: 'unknown' } })
    }
    return { kind: 'committed', revision } as const
  }

  async *watch(prefix: string, options: { fromRevision: number; signal: AbortSignal }) {
    let position = options.fromRevision
    while (!options.signal.aborted) {
      const batch = this.#history[position]
      if (batch !== undefined) {
        position++
        const changes = batch.changes.filter((change) =>
          (change.kind === 'put' ? change.entry.key : change.key).startsWith(prefix),
        )
        yield { revision: batch.revision, changes }
        continue
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake.add(resolve)
      options.signal.addEventListener('abort', () => resolve(), { once: true })
      await promise
      this.#wake.delete(resolve)
    }
  }
}
