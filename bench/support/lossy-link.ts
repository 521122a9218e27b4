/**
 * A TCP connection over a link that loses and delays, on a clock of the caller's, much as Linux has it: in order; what is
 * not acknowledged is sent again once by a tail loss probe, then after the retransmission timeout (RFC 6298, at least
 * 200 ms), then after twice as long, and so on, while what is written meanwhile waits. Without the selective
 * acknowledgements of real ones, which recover faster.
 */
import type { Clock, Random } from '@cloudless/base'

export interface LinkFaults {
  /** 0 to 1, each way. */
  readonly loss: number
  readonly delayMs: number
  /** Each packet is late by up to so much more. */
  readonly jitterMs: number
}

interface Segment {
  readonly number: number
  readonly deliver: () => void
  sentAtMs: number
  isSentAgain: boolean
}

const timeoutMsMin = 200
const delayedAckMs = 200
const timeoutMsMax = 120_000

export class LossyLink {
  readonly #clock: Clock
  readonly #random: Random
  readonly #faults: LinkFaults
  /** Written and not acknowledged, the oldest first. */
  readonly #unacknowledged: Segment[] = []
  /** Come, out of order, and not delivered. */
  readonly #early = new Map<number, Segment>()
  #written = 0
  #delivered = 0
  #smoothedMs: number | undefined
  #varianceMs = 0
  #backoff = 0
  #isProbed = false
  #cancelTimer: (() => void) | undefined
  #isCut = false

  constructor(deps: { readonly clock: Clock; readonly random: Random }, faults: LinkFaults) {
    this.#clock = deps.clock
    this.#random = deps.random
    this.#faults = faults
  }

  /** From now on nothing passes. */
  cut(): void {
    this.#isCut = true
    this.#cancelTimer?.()
  }

  send(deliver: () => void): void {
    if (this.#isCut) return
    const segment = { number: this.#written++, deliver, sentAtMs: 0, isSentAgain: false }
    this.#unacknowledged.push(segment)
    if (this.#backoff === 0) this.#transmit([segment])
    if (this.#cancelTimer === undefined) this.#setTimer()
  }

  #transmit(segments: readonly Segment[]): void {
    for (const segment of segments) segment.sentAtMs = this.#clock.monotonicMs()
    this.#carry(() => {
      for (const segment of segments) this.#early.set(segment.number, segment)
      for (
        let next = this.#early.get(this.#delivered);
        next;
        next = this.#early.get(this.#delivered)
      ) {
        this.#early.delete(this.#delivered++)
        next.deliver()
      }
      for (const number of this.#early.keys())
        if (number < this.#delivered) this.#early.delete(number)
      const upTo = this.#delivered
      this.#carry(() => this.#acknowledged(upTo))
    })
  }

  #carry(arrive: () => void): void {
    const { loss, delayMs, jitterMs } = this.#faults
    const isLost = this.#random.next() < loss
    const takenMs = delayMs + this.#random.next() * jitterMs
    if (isLost) return
    this.#clock.after(takenMs, () => {
      if (!this.#isCut) arrive()
    })
  }

  #acknowledged(upTo: number): void {
    const first = this.#unacknowledged[0]
    if (first === undefined || first.number >= upTo) return
    while (this.#unacknowledged.length > 0 && this.#unacknowledged[0]!.number < upTo) {
      const segment = this.#unacknowledged.shift()!
      if (!segment.isSentAgain) this.#measured(this.#clock.monotonicMs() - segment.sentAtMs)
    }
    const wasBackingOff = this.#backoff > 0
    this.#backoff = 0
    this.#isProbed = false
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#unacknowledged.length === 0) return
    if (wasBackingOff) this.#transmit([...this.#unacknowledged])
    this.#setTimer()
  }

  #measured(roundTripMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = roundTripMs
      this.#varianceMs = roundTripMs / 2
      return
    }
    this.#varianceMs += (Math.abs(this.#smoothedMs - roundTripMs) - this.#varianceMs) / 4
    this.#smoothedMs += (roundTripMs - this.#smoothedMs) / 8
  }

  #setTimer(): void {
    const isProbe = !this.#isProbed && this.#smoothedMs !== undefined
    const timeoutMs = isProbe ? this.#probeMs() : this.#timeoutMs()
    this.#cancelTimer = this.#clock.after(timeoutMs, () => {
      if (isProbe) this.#isProbed = true
      else this.#backoff++
      for (const segment of this.#unacknowledged) segment.isSentAgain = true
      this.#transmit([...this.#unacknowledged])
      this.#setTimer()
    })
  }

  #probeMs(): number {
    return Math.min(
      Math.max(2 * this.#smoothedMs!, 1.5 * this.#smoothedMs! + delayedAckMs),
      this.#timeoutMs(),
    )
  }

  #timeoutMs(): number {
    const usualMs = this.#smoothedMs === undefined ? 1_000 : this.#smoothedMs + 4 * this.#varianceMs
    return Math.min(Math.max(timeoutMsMin, usualMs) * 2 ** this.#backoff, timeoutMsMax)
  }
}
