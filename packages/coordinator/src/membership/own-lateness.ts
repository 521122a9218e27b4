/**
 * How late this process is itself. Time in which it could not listen is nobody's silence, and one that was held up will be
 * held up again: what is known of that is added to every limit, and fades as we keep time.
 */

/** Timers are always a little late; more than this means that the process was held up. */
const timerSlackMs = 20
const fadeHalfLifeMs = 5_000
/** Whatever held us up: a node that is gone must be given up in the end. */
const marginMsMax = 10_000

export class OwnLateness {
  #heldUpMs = 0
  #marginMs = 0
  #asOfMs = 0

  /** A timer that was due at `dueMs` fires at `nowMs`. Whether that was late. */
  fired(dueMs: number, nowMs: number): boolean {
    const lateMs = nowMs - dueMs
    if (lateMs <= timerSlackMs) return false
    this.#heldUpMs += lateMs
    this.#marginMs = Math.min(Math.max(lateMs, this.marginMs(nowMs)), marginMsMax)
    this.#asOfMs = nowMs
    return true
  }

  /** All the time in which we could not listen. */
  get heldUpMs(): number {
    return this.#heldUpMs
  }

  /** How late we may be now. */
  marginMs(nowMs: number): number {
    const marginMs = this.#marginMs * 0.5 ** ((nowMs - this.#asOfMs) / fadeHalfLifeMs)
    return marginMs > timerSlackMs ? marginMs : 0
  }
}
