/**
 * The way between one node and the coordinator, and what goes wrong on it.
 *
 * Packets are late, lost or cut off; what a program sees is TCP on top of them. So within one direction of a connection
 * nothing is ever reordered, a lost packet is a delay for all behind it, and a cut is silence until it heals, when what
 * was written meanwhile still arrives: also what belongs to a session that both sides have given up since.
 */
import { between, type Random } from '@cloudless/base'
import { Disturbance } from './disturbance.ts'
import type { ProcessClock } from './process-clock.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface LinkQuality {
  readonly delayMs: number
  readonly jitterMs: number
  /** Of packets, 0 to 1. */
  readonly lossShare: number
}

export type Direction = 'up' | 'down'

/** The first wait for a lost packet, doubled with each loss in a row. */
const retransmitMs = 200
const lossesInRowMax = 7
/** TCP tries again at least this often, so that a connection goes on at most so long after a cut has healed. */
const retransmitMsMax = 60_000

export class Link {
  readonly #world: VirtualClock
  readonly #random: Random
  readonly #pipes: Record<Direction, Set<Pipe<unknown>>> = { up: new Set(), down: new Set() }
  readonly #cutSinceMs: Record<Direction, number | undefined> = { up: undefined, down: undefined }
  readonly disturbance: Disturbance
  #quality: LinkQuality

  constructor(world: VirtualClock, random: Random, quality: LinkQuality) {
    this.#world = world
    this.#random = random
    this.#quality = quality
    this.disturbance = new Disturbance(world)
  }

  get quality(): LinkQuality {
    return this.#quality
  }

  set quality(quality: LinkQuality) {
    this.#quality = quality
    this.disturbance.note()
  }

  isCut(direction: Direction): boolean {
    return this.#cutSinceMs[direction] !== undefined
  }

  /** Nothing gets through that way any more, and nobody is told. */
  cut(direction: Direction): void {
    this.#cutSinceMs[direction] ??= this.#world.monotonicMs()
    this.disturbance.note()
  }

  /** What each connection had on its way follows when its TCP tries again. */
  heal(direction: Direction): void {
    const sinceMs = this.#cutSinceMs[direction]
    if (sinceMs === undefined) return
    this.#cutSinceMs[direction] = undefined
    // Until the last connection has noticed.
    this.disturbance.note(retransmitMsMax)
    const outageMs = this.#world.monotonicMs() - sinceMs
    const waitMsMax = Math.min(retransmitMsMax, Math.max(retransmitMs, outageMs))
    for (const pipe of this.#pipes[direction]) {
      if (!pipe.isBlocked) continue
      this.#world.after(between(this.#random, 0, waitMsMax), () => pipe.unblock())
    }
  }

  /** Of one packet, with what TCP does when it is lost. */
  transitMs(): number {
    const { delayMs, jitterMs, lossShare } = this.quality
    let ms = delayMs + this.#random.next() * jitterMs
    let waitMs = retransmitMs
    for (let losses = 0; losses < lossesInRowMax && lossShare > this.#random.next(); losses++) {
      ms += waitMs
      waitMs *= 2
    }
    return ms
  }

  /** One direction of a new connection; `deliver` is called in the receiver's own time. */
  open<T>(direction: Direction, receiver: () => ProcessClock, deliver: (item: T) => void): Pipe<T> {
    const pipe: Pipe<T> = new Pipe(this.#world, {
      transitMs: () => this.transitMs(),
      isCut: () => this.isCut(direction),
      receiver,
      deliver,
      onClosed: () => this.#pipes[direction].delete(pipe as Pipe<unknown>),
    })
    this.#pipes[direction].add(pipe as Pipe<unknown>)
    return pipe
  }
}

interface PipeDeps<T> {
  readonly transitMs: () => number
  readonly isCut: () => boolean
  readonly receiver: () => ProcessClock
  readonly deliver: (item: T) => void
  readonly onClosed: () => void
}

/** One direction of one connection: in order, whatever happens below. */
export class Pipe<T> {
  readonly #world: VirtualClock
  readonly #deps: PipeDeps<T>
  /** Written while the link was cut. */
  readonly #blocked: T[] = []
  #lastArrivalMs = 0
  #closed = false

  constructor(world: VirtualClock, deps: PipeDeps<T>) {
    this.#world = world
    this.#deps = deps
  }

  get isBlocked(): boolean {
    return this.#blocked.length > 0
  }

  send(item: T): void {
    if (this.#closed) return
    if (this.isBlocked || this.#deps.isCut()) this.#blocked.push(item)
    else this.#pass(item)
  }

  /** The link has healed, and TCP noticed. */
  unblock(): void {
    if (this.#deps.isCut()) return
    for (const item of this.#blocked.splice(0)) this.#pass(item)
  }

  /** Nobody is there any more who sends or receives. */
  close(): void {
    this.#closed = true
    this.#blocked.length = 0
    this.#deps.onClosed()
  }

  #pass(item: T): void {
    const nowMs = this.#world.monotonicMs()
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + this.#deps.transitMs())
    this.#deps.receiver().arrive(this.#lastArrivalMs - nowMs, () => {
      if (!this.#closed) this.#deps.deliver(item)
    })
  }
}
