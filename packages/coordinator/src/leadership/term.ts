/**
 * One term of leadership, from the transaction that won it to its end.
 *
 * It ends by this process's own clock when its lease was not renewed in time: the lease is counted from when the renewal was
 * sent, the store counts from when it arrived, so this side is always the first to give up.
 */
import { CloudlessError, type Clock } from '@cloudless/base'
import type { Precondition } from '@cloudless/metadata'
import { leaderKey } from './leader-record.ts'

export interface WonTerm {
  /** Revision of the write that won it. */
  readonly number: number
  readonly leaseId: string
  /** When the lease was asked for, monotonic milliseconds. */
  readonly askedAtMs: number
  readonly leaseMs: number
}

/** What is kept back of a lease: clocks of two machines do not run equally fast. */
const reserve = 0.1

export class Term {
  /** Grows from term to term, whoever leads. */
  readonly number: number
  readonly leaseId: string
  readonly #clock: Clock
  readonly #heldMs: number
  readonly #ended = new AbortController()
  #validUntilMs: number
  #cancelTimer: () => void = () => undefined

  constructor(clock: Clock, { number, leaseId, askedAtMs, leaseMs }: WonTerm) {
    this.number = number
    this.leaseId = leaseId
    this.#clock = clock
    this.#heldMs = leaseMs * (1 - reserve)
    this.#validUntilMs = askedAtMs + this.#heldMs
    this.#watchTheClock()
  }

  /** Aborted, with the reason, when it has ended. */
  get signal(): AbortSignal {
    return this.#ended.signal
  }

  /** Whether nobody else can lead now. Looked at before anything is said in the name of the cluster. */
  get isValid(): boolean {
    return !this.signal.aborted && this.#clock.monotonicMs() < this.#validUntilMs
  }

  /** What every transaction of the term must have among its preconditions. */
  get guard(): Precondition {
    return { kind: 'unchanged', key: leaderKey, modRevision: this.number }
  }

  /** The lease was still there when it was asked to be renewed at that time. */
  renewed(askedAtMs: number): void {
    this.#validUntilMs = Math.max(this.#validUntilMs, askedAtMs + this.#heldMs)
    this.#watchTheClock()
  }

  end(reason: CloudlessError): void {
    this.#cancelTimer()
    this.#ended.abort(reason)
  }

  #watchTheClock(): void {
    this.#cancelTimer()
    if (this.signal.aborted) return
    const leftMs = this.#validUntilMs - this.#clock.monotonicMs()
    this.#cancelTimer = this.#clock.after(Math.max(0, leftMs), () => {
      if (this.isValid) this.#watchTheClock()
      else this.end(leadsNoLonger('its lease could not be renewed in time'))
    })
  }
}

export function leadsNoLonger(why: string): CloudlessError {
  return new CloudlessError('unavailable', `this coordinator leads no longer: ${why}`, {
    details: { reason: 'not_leader' },
  })
}
