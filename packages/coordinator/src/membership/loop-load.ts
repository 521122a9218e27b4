/** How busy this process's main thread is, for those who can do a thing later and more of it at once. */
import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { every, type Clock } from '@cloudless/base'

const sampleMs = 1_000
/** The share of the last second in which it did not wait for anything. */
const highShare = 0.8

/** Whether whoever can wait should. */
export interface Load {
  readonly isHigh: boolean
}

export class LoopLoad implements Load {
  readonly #stop: () => void
  #before: EventLoopUtilization = performance.eventLoopUtilization()
  #share = 0

  constructor({ clock }: { readonly clock: Clock }) {
    this.#stop = every(clock, sampleMs, () => {
      const now = performance.eventLoopUtilization()
      this.#share = performance.eventLoopUtilization(now, this.#before).utilization
      this.#before = now
    })
  }

  get isHigh(): boolean {
    return this.#share > highShare
  }

  close(): void {
    this.#stop()
  }
}
