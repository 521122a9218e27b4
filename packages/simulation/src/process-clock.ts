/**
 * Time as one process sees it: its machine's wall clock may be wrong, and the process may be held up, asleep or dead.
 *
 * Whatever happens to a process happens through its clock, timers and arriving messages alike. So a process that is held
 * up hears nothing until it goes on, and one that was killed never does anything again: what it was waiting for does not
 * come.
 */
import type { Clock } from '@cloudless/base'
import type { VirtualClock } from './virtual-clock.ts'

export interface WallOffset {
  /** How far the machine's wall clock is off, milliseconds. Shared by all processes of the machine. */
  offsetMs: number
}

interface Held {
  fire: (() => void) | undefined
}

export class ProcessClock implements Clock {
  readonly #world: VirtualClock
  readonly #wall: WallOffset
  /** What fell due while it was held up, in order. */
  readonly #heldTimers: Held[] = []
  readonly #heldArrivals: Held[] = []
  #heldUp = false
  #dead = false
  #pending = 0

  constructor(world: VirtualClock, wall: WallOffset) {
    this.#world = world
    this.#wall = wall
  }

  /** Timers and arrivals that wait; a process that has closed should have none. */
  get pendingCount(): number {
    return this.#pending
  }

  get isDead(): boolean {
    return this.#dead
  }

  monotonicMs(): number {
    return this.#world.monotonicMs()
  }

  wallMs(): number {
    return Math.floor(this.#world.wallMs() + this.#wall.offsetMs)
  }

  after(delayMs: number, fire: () => void): () => void {
    return this.#enter(delayMs, fire, this.#heldTimers)
  }

  /** Something reaches the process from outside after `delayMs`. */
  arrive(delayMs: number, fire: () => void): () => void {
    return this.#enter(delayMs, fire, this.#heldArrivals)
  }

  /** Nothing of it runs any more until `resume`; time goes on. */
  suspend(): void {
    this.#heldUp = true
  }

  /** What fell due meanwhile happens now: its timers in order, then what has arrived, as an event loop would. */
  resume(): void {
    this.#heldUp = false
    for (const queue of [this.#heldTimers, this.#heldArrivals]) {
      for (const held of queue.splice(0)) this.#world.after(0, () => this.#run(held, queue))
    }
  }

  /** As kill -9. */
  kill(): void {
    this.#dead = true
    this.#heldTimers.length = 0
    this.#heldArrivals.length = 0
  }

  #enter(delayMs: number, fire: () => void, queue: Held[]): () => void {
    if (this.#dead) return () => undefined
    const held: Held = {
      fire: () => {
        this.#pending--
        fire()
      },
    }
    this.#pending++
    const cancel = this.#world.after(delayMs, () => this.#run(held, queue))
    return () => {
      if (held.fire === undefined) return
      held.fire = undefined
      this.#pending--
      cancel()
    }
  }

  #run(held: Held, queue: Held[]): void {
    const { fire } = held
    if (fire === undefined || this.#dead) return
    if (this.#heldUp) {
      queue.push(held)
      return
    }
    held.fire = undefined
    fire()
  }
}
