/**
 * What the cluster decided, for people and for audit: durable, bounded, and told live to whoever watches. Telling an event
 * never waits; a log that is closed writes what it has first.
 */
import { CloudlessError, sleep, type Clock, type Random } from '@cloudless/base'
import { currentContext } from '../context.ts'
import type { Logger } from '../logging/logger.ts'
import { completeEvent, decodeEvent } from './cluster-event.ts'
import type { ClusterEvent, EventDraft, UnnumberedEvent } from './cluster-event.ts'
import { matchesFilter, problemWithFilter, type EventFilter } from './event-filter.ts'
import { EventJournal, eventPrefix } from './event-journal.ts'
import type { EventStore } from './event-store.ts'
import { EventSubscription } from './event-subscription.ts'
import { EventWriter } from './event-writer.ts'

export interface EventLogDeps {
  readonly clock: Clock
  readonly random: Random
  readonly store: EventStore
  readonly logger: Logger
}

export interface EventLogOptions {
  /** Actor of what no caller asked for: this process's name. */
  readonly systemId: string
  /** Events kept, the newest; 10,000 when not given. */
  readonly eventsMax?: number
  /** At most one transaction per so many milliseconds; 50 when not given. */
  readonly flushMs?: number
  /** Events a watcher may leave unread; 100 when not given. */
  readonly watchQueueMax?: number
}

export interface EventPage {
  /** Oldest first. */
  readonly events: readonly ClusterEvent[]
  /** To be given back for the next page; empty when this is the last. */
  readonly nextToken: string
  /** All that match, on every page. */
  readonly total: number
}

export interface EventWatchOptions {
  /** So many of the past first; 0 when not given. */
  readonly tail?: number
  /** All after this sequence first; wins over `tail` when above 0. */
  readonly afterSequence?: number
  readonly signal: AbortSignal
}

const retryMs = 1_000
const pageDefault = 100
const pageMax = 1_000

export class EventLog {
  readonly #deps: EventLogDeps
  readonly #options: Required<EventLogOptions>
  readonly #journal: EventJournal
  readonly #writer: EventWriter
  readonly #subscriptions = new Set<EventSubscription>()
  readonly #ended = new AbortController()
  #following: Promise<void> = Promise.resolve()

  constructor(deps: EventLogDeps, options: EventLogOptions) {
    this.#deps = deps
    this.#options = { eventsMax: 10_000, flushMs: 50, watchQueueMax: 100, ...options }
    this.#journal = new EventJournal(deps.store, deps.random, this.#options.eventsMax)
    this.#writer = new EventWriter(
      {
        ...deps,
        journal: this.#journal,
        lossEvent: (lost) => this.#complete(lossOf(lost, options)),
      },
      this.#options.flushMs,
    )
  }

  static async open(deps: EventLogDeps, options: EventLogOptions): Promise<EventLog> {
    const log = new EventLog(deps, options)
    const { revision } = await deps.store.list(eventPrefix, { limit: 1 })
    log.#following = log.#follow(revision)
    return log
  }

  /** Returns at once. Actor and ids are the current context's. */
  append(draft: EventDraft): void {
    this.#writer.append(this.#complete(draft))
  }

  /** Resolves when every event appended so far is durable; throws when the store does not take them. */
  flush(): Promise<void> {
    return this.#writer.flush()
  }

  /** Throws `invalid_argument` for a filter that names what there is not, a limit or a token that is none. */
  async list(
    filter: EventFilter,
    options: { readonly limit?: number; readonly continueToken?: string } = {},
  ): Promise<EventPage> {
    requireFilter(filter)
    const limit = parseLimit(options.limit ?? 0)
    const afterSequence = parseToken(options.continueToken ?? '')
    await this.#writer.flushIfPossible()
    const events: ClusterEvent[] = []
    let total = 0
    let more = false
    for await (const event of this.#read(0)) {
      if (!matchesFilter(filter, event)) continue
      total++
      if (event.sequence <= afterSequence) continue
      if (events.length < limit) events.push(event)
      else more = true
    }
    return { events, nextToken: more ? String(events.at(-1)!.sequence) : '', total }
  }

  /**
   * Past events as asked for, then new ones in order, until the signal is aborted. Throws `resource_exhausted` when
   * too many are left unread, `unavailable` when the log is closed or the store goes away: watch again from the last.
   */
  async *watch(filter: EventFilter, options: EventWatchOptions): AsyncGenerator<ClusterEvent> {
    requireFilter(filter)
    const subscription = new EventSubscription(filter, this.#options.watchQueueMax)
    this.#subscriptions.add(subscription)
    try {
      if (this.#ended.signal.aborted) throw closed()
      // What is new is what comes after this moment; what is told of the past may reach beyond it.
      let sequence = options.afterSequence || (await this.#journal.newestSequence())
      for await (const event of this.#past(filter, options)) {
        if (options.signal.aborted) return
        sequence = Math.max(sequence, event.sequence)
        yield event
      }
      yield* subscription.read(sequence, options.signal)
    } finally {
      this.#subscriptions.delete(subscription)
    }
  }

  /** Writes what is left, then ends the watches. Throws, having closed, when it could not be written. */
  async close(): Promise<void> {
    try {
      await this.#writer.close()
    } finally {
      this.#ended.abort()
      this.#endWatches(closed())
      await this.#following
    }
  }

  #complete(draft: EventDraft): UnnumberedEvent {
    const { systemId } = this.#options
    const timestampMs = this.#deps.clock.wallMs()
    return completeEvent(draft, currentContext(), { timestampMs, systemId })
  }

  #read(sequence: number): AsyncGenerator<ClusterEvent> {
    return this.#journal.read(sequence, (key) =>
      this.#deps.logger.warn({ key }, 'an event cannot be read and is left out'),
    )
  }

  async *#past(filter: EventFilter, options: EventWatchOptions): AsyncGenerator<ClusterEvent> {
    const { tail = 0, afterSequence = 0 } = options
    if (afterSequence > 0 || tail > 0) await this.#writer.flushIfPossible()
    if (afterSequence > 0) {
      for await (const event of this.#read(afterSequence)) {
        if (matchesFilter(filter, event)) yield event
      }
      return
    }
    if (tail <= 0) return
    const newest: ClusterEvent[] = []
    for await (const event of this.#read(0)) {
      if (!matchesFilter(filter, event)) continue
      newest.push(event)
      if (newest.length > tail) newest.shift()
    }
    yield* newest
  }

  /** Hands what anyone wrote to the watchers, for as long as the log is open. */
  async #follow(fromRevision: number): Promise<void> {
    const { signal } = this.#ended
    let position = fromRevision
    while (!signal.aborted) {
      try {
        for await (const batch of this.#deps.store.watch(eventPrefix, {
          fromRevision: position,
          signal,
        })) {
          position = batch.revision
          for (const change of batch.changes) {
            if (change.kind === 'put') this.#publish(change.entry.value)
          }
        }
      } catch (reason) {
        if (signal.aborted) return
        this.#deps.logger.warn({ error: reason }, 'the event stream was interrupted')
        this.#endWatches(interrupted(reason))
        await sleep(this.#deps.clock, retryMs, signal).catch(() => undefined) // Aborted: the loop ends.
        position = await this.#newestRevision(position)
      }
    }
  }

  async #newestRevision(otherwise: number): Promise<number> {
    try {
      return (await this.#deps.store.list(eventPrefix, { limit: 1 })).revision
    } catch {
      return otherwise // The watch will fail for the same reason and say so.
    }
  }

  #publish(value: Uint8Array): void {
    const event = decodeEvent(value)
    if (event === undefined) return
    for (const subscription of this.#subscriptions) subscription.offer(event)
  }

  #endWatches(reason: CloudlessError): void {
    for (const subscription of this.#subscriptions) subscription.fail(reason)
  }
}

function lossOf(lost: number, { systemId }: EventLogOptions): EventDraft {
  return {
    type: 'coordinator.events_lost',
    resourceType: 'coordinator',
    resourceId: systemId,
    description: `${lost} events were lost: the metadata store did not take any for too long.`,
  }
}

function requireFilter(filter: EventFilter): void {
  const problem = problemWithFilter(filter)
  if (problem !== undefined) throw new CloudlessError('invalid_argument', `events: ${problem}`)
}

function parseLimit(limit: number): number {
  if (limit === 0) return pageDefault
  if (Number.isInteger(limit) && limit > 0 && limit <= pageMax) return limit
  throw new CloudlessError('invalid_argument', `events: limit must be between 1 and ${pageMax}`)
}

function parseToken(token: string): number {
  if (token === '') return 0
  if (/^\d{1,15}$/.test(token)) return Number(token)
  throw new CloudlessError(
    'invalid_argument',
    'events: continue_token is not one that a list returned; begin without one',
  )
}

function closed(): CloudlessError {
  return new CloudlessError('unavailable', 'the event log is closed; try another coordinator')
}

function interrupted(reason: unknown): CloudlessError {
  return new CloudlessError(
    'unavailable',
    'the event stream was interrupted; watch again from the last event that arrived',
    { cause: reason },
  )
}
