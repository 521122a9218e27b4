/**
 * How long each rollout has made no further progress, by a clock that does not jump. It counts from when this process first
 * saw it so: after a restart the nodes have yet to come back, and that is not the rollout's fault.
 */
import type { RolloutStatus } from '@cloudless/api'
import type { Clock } from '@cloudless/base'

export class QuietTimes {
  readonly #clock: Clock
  readonly #byWorkload = new Map<string, { readonly seen: string; readonly sinceMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** May be asked as often as one likes. */
  of(workloadId: string, { revision, readySeen, lastProgressAtMs }: RolloutStatus): number {
    const seen = `${revision} ${readySeen} ${lastProgressAtMs}`
    const known = this.#byWorkload.get(workloadId)
    const nowMs = this.#clock.monotonicMs()
    if (known?.seen === seen) return nowMs - known.sinceMs
    this.#byWorkload.set(workloadId, { seen, sinceMs: nowMs })
    return 0
  }

  /** Nothing of it is going on. */
  forget(workloadId: string): void {
    this.#byWorkload.delete(workloadId)
  }
}
