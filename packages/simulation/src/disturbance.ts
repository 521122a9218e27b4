/** Until when something out of the ordinary was going on: a node that nothing happened to must not be given up. */
import type { Clock } from '@cloudless/base'

export class Disturbance {
  readonly #clock: Clock
  #untilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** It goes on from now for so long. */
  note(durationMs = 0): void {
    this.#untilMs = Math.max(this.#untilMs, this.#clock.monotonicMs() + durationMs)
  }

  /** How long all has been quiet, milliseconds; negative while it is not. */
  get quietMs(): number {
    return this.#clock.monotonicMs() - this.#untilMs
  }
}
