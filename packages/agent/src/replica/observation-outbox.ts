/** Collects what changed and hands it on once per turn of the event loop, the newest of each replica only. */
import type { ReplicaObservation } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import { sameObservation } from './replica-observation.ts'

export type ObservationListener = (observations: ReplicaObservation[]) => void

export class ObservationOutbox {
  readonly #clock: Clock
  readonly #pending = new Map<string, ReplicaObservation>()
  readonly #lastSent = new Map<string, ReplicaObservation>()
  readonly #waiting = new Set<() => void>()
  #sequence = 0n
  #listener: ObservationListener | undefined
  #flushing = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What was not handed on while nobody listened is not kept: a new session begins with everything. */
  listen(listener: ObservationListener | undefined): void {
    this.#listener = listener
    this.#pending.clear()
  }

  push(observation: ReplicaObservation): void {
    this.#pending.set(observation.replicaId, observation)
    this.touched()
  }

  /** Something changed that is nobody's to hear but those who wait. */
  touched(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.after(0, () => this.#flush())
  }

  /** Gives the observation its number; it counts as sent. */
  number(observation: ReplicaObservation): ReplicaObservation {
    this.#sequence += 1n
    const numbered = { ...observation, sequence: this.#sequence }
    if (observation.removed) this.#lastSent.delete(observation.replicaId)
    else this.#lastSent.set(observation.replicaId, numbered)
    return numbered
  }

  /** Resolves at the next flush, or when aborted. */
  nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
    })
  }

  #flush(): void {
    this.#flushing = false
    const changed = [...this.#pending.values()].filter((observation) => {
      const last = this.#lastSent.get(observation.replicaId)
      return last === undefined || !sameObservation(last, observation)
    })
    this.#pending.clear()
    const listener = this.#listener
    if (listener !== undefined && changed.length > 0) {
      listener(changed.map((observation) => this.number(observation)))
    }
    for (const done of [...this.#waiting]) done()
  }
}
