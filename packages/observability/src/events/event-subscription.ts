/** One watcher's share of the event stream: a queue that is bounded, and ended when it is not emptied in time. */
import { CloudlessError } from '@cloudless/base'
import type { ClusterEvent } from './cluster-event.ts'
import { matchesFilter, type EventFilter } from './event-filter.ts'

export class EventSubscription {
  readonly #filter: EventFilter
  readonly #queueMax: number
  readonly #queue: ClusterEvent[] = []
  #failure: CloudlessError | undefined
  #wake = (): void => {}

  constructor(filter: EventFilter, queueMax: number) {
    this.#filter = filter
    this.#queueMax = queueMax
  }

  offer(event: ClusterEvent): void {
    if (this.#failure !== undefined || !matchesFilter(this.#filter, event)) return
    if (this.#queue.length >= this.#queueMax) {
      this.fail(
        new CloudlessError(
          'resource_exhausted',
          `more than ${this.#queueMax} events were waiting to be read, so this watch was ended; ` +
            'watch again from the last event that arrived, and read faster or narrow the filter',
        ),
      )
      return
    }
    this.#queue.push(event)
    this.#wake()
  }

  fail(reason: CloudlessError): void {
    this.#failure ??= reason
    this.#wake()
  }

  /** Events after `sequence`, until the signal is aborted; throws what `fail` was given. */
  async *read(sequence: number, signal: AbortSignal): AsyncGenerator<ClusterEvent> {
    const onAbort = (): void => this.#wake()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        const event = this.#queue.shift()
        if (event !== undefined) {
          if (event.sequence > sequence) yield event
          continue
        }
        if (this.#failure !== undefined) throw this.#failure
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}
