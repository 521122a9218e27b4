/**
 * The loop every controller runs: keys that need a look, looked at one at a time per key, several keys side by side.
 *
 * Level-triggered: a key that is added while it is being worked on is worked on once more afterwards, however often it
 * was added. A look that fails is repeated with backoff until it succeeds.
 */
import { backoffDelayMs, type Clock, type Random } from '@cloudless/base'

export interface WorkQueueDeps {
  readonly clock: Clock
  readonly random: Random
  /** Makes the world of this key a little more as it should be. May return when to look again, milliseconds from now. */
  readonly work: (key: string) => Promise<number | undefined | void>
  readonly onError: (key: string, reason: unknown) => void
}

const workersMax = 16
const retryBackoff = { delayMsMin: 100, delayMsMax: 10_000 }

export class WorkQueue {
  readonly #deps: WorkQueueDeps
  readonly #waiting = new Set<string>()
  readonly #working = new Map<string, Promise<void>>()
  readonly #again = new Set<string>()
  readonly #timers = new Map<string, () => void>()
  readonly #failures = new Map<string, number>()
  #closed = false

  constructor(deps: WorkQueueDeps) {
    this.#deps = deps
  }

  get depth(): number {
    return this.#waiting.size + this.#working.size
  }

  add(key: string): void {
    if (this.#closed) return
    if (this.#working.has(key)) {
      this.#again.add(key)
      return
    }
    this.#waiting.add(key)
    this.#start()
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return
    this.#timers.get(key)?.()
    const cancel = this.#deps.clock.after(delayMs, () => {
      this.#timers.delete(key)
      this.add(key)
    })
    this.#timers.set(key, cancel)
  }

  /** Starts nothing new and waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true
    this.#waiting.clear()
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
    await Promise.all(this.#working.values())
  }

  #start(): void {
    for (const key of this.#waiting) {
      if (this.#working.size >= workersMax) return
      this.#waiting.delete(key)
      this.#working.set(key, this.#run(key))
    }
  }

  async #run(key: string): Promise<void> {
    try {
      // Changes come in batches: what the rest of the batch adds is seen by one look.
      await Promise.resolve()
      const againAfterMs = await this.#deps.work(key)
      this.#failures.delete(key)
      if (typeof againAfterMs === 'number') this.addAfter(key, againAfterMs)
    } catch (reason) {
      const failures = this.#failures.get(key) ?? 0
      this.#failures.set(key, failures + 1)
      this.#deps.onError(key, reason)
      this.addAfter(key, backoffDelayMs(this.#deps.random, failures, retryBackoff))
    } finally {
      this.#working.delete(key)
      if (this.#again.delete(key)) this.add(key)
      this.#start()
    }
  }
}
