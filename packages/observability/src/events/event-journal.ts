/**
 * The events in the store: numbered, in order, bounded.
 *
 * Keys: "events/log/<sequence>" for each event, "events/head" for the next sequence, the oldest that is kept and the batch
 * that was written last. Every batch is written only if the head is as it was read, so that several coordinators number
 * events without gaps or twins, and a batch whose outcome was not known is recognised instead of being written again.
 */
import { CloudlessError, type Random, randomId } from '@cloudless/base'
import {
  decodeEvent,
  encodeEvent,
  type ClusterEvent,
  type UnnumberedEvent,
} from './cluster-event.ts'
import type { EventStore } from './event-store.ts'

export const eventPrefix = 'events/log/'
const headKey = 'events/head'

/** With as many deletions and the head, within what any engine takes in a transaction. */
export const batchEventsMax = 50
const trimMax = 60
const attemptsMax = 20
const pageEvents = 500

interface Head {
  readonly next: number
  readonly oldest: number
  readonly batch: string
}

export class EventJournal {
  readonly #store: EventStore
  readonly #random: Random
  readonly #eventsMax: number
  #batch: { readonly id: string; readonly events: readonly UnnumberedEvent[] } | undefined

  constructor(store: EventStore, random: Random, eventsMax: number) {
    this.#store = store
    this.#random = random
    this.#eventsMax = eventsMax
  }

  /** Writes at most `batchEventsMax` events. After a failure it must be called again with the same events. */
  async write(events: readonly UnnumberedEvent[]): Promise<void> {
    if (this.#batch?.events !== events) this.#batch = { id: randomId(this.#random, 16), events }
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const found = await this.#store.get(headKey)
      const head = parseHead(found?.value)
      if (head.batch === this.#batch.id) return
      const result = await this.#store.transact({
        preconditions: [
          found === undefined
            ? { kind: 'absent', key: headKey }
            : { kind: 'unchanged', key: headKey, modRevision: found.modRevision },
        ],
        writes: this.#writesOf(events, head, this.#batch.id),
      })
      if (result.kind === 'committed') return
    }
    throw new CloudlessError(
      'conflict',
      `writing ${events.length} events: others wrote in between ${attemptsMax} times; it is tried again`,
    )
  }

  #writesOf(events: readonly UnnumberedEvent[], head: Head, batch: string) {
    const next = head.next + events.length
    const oldest = Math.min(Math.max(head.oldest, next - this.#eventsMax), head.oldest + trimMax)
    const value = Buffer.from(JSON.stringify({ version: 1, next, oldest, batch }))
    return [
      ...events.map((event, n) => {
        const numbered = { sequence: head.next + n, ...event }
        return { kind: 'put', key: keyOf(numbered.sequence), value: encodeEvent(numbered) } as const
      }),
      ...range(head.oldest, Math.min(oldest, head.next)).map(
        (sequence) => ({ kind: 'delete', key: keyOf(sequence) }) as const,
      ),
      { kind: 'put', key: headKey, value } as const,
    ]
  }

  /** Of the last event that was written; 0 when there is none. */
  async newestSequence(): Promise<number> {
    return parseHead((await this.#store.get(headKey))?.value).next - 1
  }

  /** Kept events after `sequence`, oldest first. */
  async *read(
    sequence: number,
    onUnreadable: (key: string) => void = () => {},
  ): AsyncGenerator<ClusterEvent> {
    let afterKey = keyOf(sequence)
    for (;;) {
      const page = await this.#store.list(eventPrefix, { limit: pageEvents, afterKey })
      for (const { key, value } of page.entries) {
        const event = decodeEvent(value)
        if (event === undefined) onUnreadable(key)
        else yield event
      }
      if (!page.more) return
      afterKey = page.entries.at(-1)!.key
    }
  }
}

function keyOf(sequence: number): string {
  return eventPrefix + String(sequence).padStart(16, '0')
}

function parseHead(value: Uint8Array | undefined): Head {
  if (value === undefined) return { next: 1, oldest: 1, batch: '' }
  return JSON.parse(Buffer.from(value).toString()) as Head
}

function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, n) => start + n)
}
