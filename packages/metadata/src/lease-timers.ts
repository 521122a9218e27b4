/** When leases end. Only time is kept here; the engine keeps which leases there are and which keys hang on them. */
import type { Clock } from '@cloudless/base'

interface Timer {
  readonly ttlMs: number
  cancel: () => void
}

export class LeaseTimers {
  readonly #clock: Clock
  readonly #onEnd: (leaseId: string) => void
  readonly #timers = new Map<string, Timer>()

  constructor(clock: Clock, onEnd: (leaseId: string) => void) {
    this.#clock = clock
    this.#onEnd = onEnd
  }

  /** A lease that was found at start gets its whole time again: its owner could not keep it alive meanwhile. */
  start(leaseId: string, ttlMs: number): void {
    this.#timers.set(leaseId, { ttlMs, cancel: this.#arm(leaseId, ttlMs) })
  }

  /** False when the lease has ended. */
  keepAlive(leaseId: string): boolean {
    const timer = this.#timers.get(leaseId)
    if (timer === undefined) return false
    timer.cancel()
    timer.cancel = this.#arm(leaseId, timer.ttlMs)
    return true
  }

  end(leaseId: string): void {
    this.#timers.get(leaseId)?.cancel()
    this.#timers.delete(leaseId)
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #arm(leaseId: string, ttlMs: number): () => void {
    return this.#clock.after(ttlMs, () => {
      this.#timers.delete(leaseId)
      this.#onEnd(leaseId)
    })
  }
}
