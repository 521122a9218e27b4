/**
 * The time of a whole simulated world: it stands still until the next timer, then jumps there.
 *
 * Timers fire in order of their time; those of one time in the order in which they were set. Nothing here knows of
 * processes, which see this time each through a clock of their own: process-clock.ts.
 */
import { assert, type Clock } from '@cloudless/base'

interface Timer {
  readonly dueMs: number
  readonly sequence: number
  /** Undefined when it was cancelled: it is dropped when its time comes. */
  fire: (() => void) | undefined
}

export class VirtualClock implements Clock {
  readonly #heap: Timer[] = []
  readonly #startWallMs: number
  #nowMs = 0
  #sequence = 0
  #cancelled = 0

  /** `startWallMs`: what the wall clocks showed when the world began. */
  constructor(startWallMs = 1_800_000_000_000) {
    this.#startWallMs = startWallMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return Math.floor(this.#startWallMs + this.#nowMs)
  }

  after(delayMs: number, fire: () => void): () => void {
    const dueMs = this.#nowMs + Math.max(0, delayMs)
    const timer: Timer = { dueMs, sequence: this.#sequence++, fire }
    push(this.#heap, timer)
    return () => this.#cancel(timer)
  }

  /** Timers that will still fire. */
  get timerCount(): number {
    return this.#heap.length - this.#cancelled
  }

  /** When the next timer is due; undefined when there is none. */
  nextDueMs(): number | undefined {
    this.#dropCancelled()
    return this.#heap[0]?.dueMs
  }

  /** Goes to the next timer and fires it. */
  fireNext(): void {
    this.#dropCancelled()
    const timer = pop(this.#heap)
    assert(timer?.fire !== undefined, 'there is a timer to fire')
    this.#nowMs = timer.dueMs
    const { fire } = timer
    timer.fire = undefined
    fire()
  }

  /** Goes to a time before the next timer. */
  goTo(atMs: number): void {
    assert(atMs >= this.#nowMs, 'time does not go back')
    this.#nowMs = atMs
  }

  #cancel(timer: Timer): void {
    if (timer.fire === undefined) return
    timer.fire = undefined
    this.#cancelled++
    // Deadlines are set and cancelled by the thousand: without this they would outnumber what is waited for.
    if (this.#cancelled > 1_000 && this.#cancelled > this.#heap.length / 2) this.#sweep()
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]!.fire === undefined) {
      pop(this.#heap)
      this.#cancelled--
    }
  }

  #sweep(): void {
    const kept = this.#heap.filter((timer) => timer.fire !== undefined)
    this.#heap.length = 0
    this.#cancelled = 0
    for (const timer of kept) push(this.#heap, timer)
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence)
}

function push(heap: Timer[], timer: Timer): void {
  let at = heap.length
  heap.push(timer)
  while (at > 0) {
    const above = (at - 1) >> 1
    if (!isBefore(timer, heap[above]!)) break
    heap[at] = heap[above]!
    at = above
  }
  heap[at] = timer
}

function pop(heap: Timer[]): Timer | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return first
  let at = 0
  for (;;) {
    let below = 2 * at + 1
    if (below >= heap.length) break
    if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++
    if (!isBefore(heap[below]!, last)) break
    heap[at] = heap[below]!
    at = below
  }
  heap[at] = last
  return first
}
