/** For tests: a clock that stands still until it is told to go on. */
import type { Clock } from '@cloudless/base'

interface Timer {
  readonly atMs: number
  readonly fire: () => void
}

export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>()
  readonly #wallOffsetMs: number
  #nowMs = 0

  constructor(wallMs = 1_800_000_000_000) {
    this.#wallOffsetMs = wallMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), fire }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  get timerCount(): number {
    return this.#timers.size
  }

  /** Time passes and nothing runs, as when the process is held up; what fell due fires at the next `advance`. */
  stall(ms: number): void {
    this.#nowMs += ms
  }

  /** Time passes; each timer that falls due fires at its own time, or now when that is past. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#first()
      if (!next || next.atMs > untilMs) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fire()
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  /** Of those due together, the one that was set first. */
  #first(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) if (!first || timer.atMs < first.atMs) first = timer
    return first
  }

  /** As `advance`, in steps, with the promises of each step run before the next. */
  async pass(ms: number, stepMs = 50): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      this.advance(Math.min(stepMs, leftMs))
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
}
