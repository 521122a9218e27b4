/**
 * Writes events without making anybody wait: they are collected and written together, at most once every `flushMs`. What
 * could not be written stays and is tried again; when too many wait, newer ones are dropped, counted, and the gap is told.
 */
import type { Clock } from '@cloudless/base'
import type { Logger } from '../logging/logger.ts'
import type { UnnumberedEvent } from './cluster-event.ts'
import { batchEventsMax, type EventJournal } from './event-journal.ts'

export interface EventWriterDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly journal: EventJournal
  /** The event that tells of so many others that were dropped. */
  readonly lossEvent: (lost: number) => UnnumberedEvent
}

/** Events that wait for a store that is away. */
const pendingMax = 10_000
const retryMs = 1_000

export class EventWriter {
  readonly #deps: EventWriterDeps
  readonly #flushMs: number
  #pending: UnnumberedEvent[] = []
  #batch: readonly UnnumberedEvent[] = []
  #lost = 0
  #flushing: Promise<void> | undefined
  #cancelFlush: (() => void) | undefined
  #closed = false

  constructor(deps: EventWriterDeps, flushMs: number) {
    this.#deps = deps
    this.#flushMs = flushMs
  }

  /** Returns at once. */
  append(event: UnnumberedEvent): void {
    if (this.#pending.length >= pendingMax) {
      this.#lost++
      return
    }
    this.#pending.push(event)
    this.#scheduleFlush(this.#flushMs)
  }

  /** Resolves when every event appended so far is durable; throws when the store does not take them. */
  async flush(): Promise<void> {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    while (this.#flushing !== undefined) await this.#flushing
    this.#flushing = this.#writeAll().finally(() => (this.#flushing = undefined))
    await this.#flushing
  }

  /** The same for a reader, who sees what is durable when the store takes no more. */
  async flushIfPossible(): Promise<void> {
    await this.flush().catch((reason: unknown) => {
      this.#deps.logger.warn({ error: reason }, 'events could not be written before reading')
      this.#scheduleFlush(retryMs)
    })
  }

  /** Writes what is left. Throws, having closed, when it could not be written. */
  async close(): Promise<void> {
    try {
      await this.flush()
    } finally {
      this.#closed = true
      this.#cancelFlush?.()
    }
  }

  #scheduleFlush(delayMs: number): void {
    if (this.#closed) return
    this.#cancelFlush ??= this.#deps.clock.after(delayMs, () => {
      this.#cancelFlush = undefined
      // One that takes long is not joined by more of them, all of which would fail with it.
      if (this.#flushing !== undefined) return this.#scheduleFlush(this.#flushMs)
      this.flush().catch((reason: unknown) => {
        this.#deps.logger.warn(
          { error: reason, waiting: this.#pending.length + this.#batch.length },
          'events could not be written and wait for the next try',
        )
        this.#cancelFlush?.()
        this.#cancelFlush = undefined
        this.#scheduleFlush(retryMs)
      })
    })
  }

  async #writeAll(): Promise<void> {
    for (;;) {
      if (this.#batch.length === 0) {
        this.#tellLoss()
        this.#batch = this.#pending.splice(0, batchEventsMax)
      }
      if (this.#batch.length === 0) return
      await this.#deps.journal.write(this.#batch)
      this.#batch = []
    }
  }

  #tellLoss(): void {
    if (this.#lost === 0 || this.#pending.length >= pendingMax) return
    this.#pending.push(this.#deps.lossEvent(this.#lost))
    this.#lost = 0
  }
}
