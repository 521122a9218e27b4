/**
 * Where a call goes that reaches this coordinator: it is served here while this one leads, sent on while another does, and
 * waits for a moment while nobody does.
 */
import { sleep, type Clock } from '@cloudless/base'
import type { ForwardableCall } from '../server/api-server.ts'
import { callerLeft } from '../server/caller-left.ts'
import type { LeaderLink } from '../server/leader-link.ts'

/** An election is over well before. */
const waitMsMax = 5_000
/** Sessions of agents are with the leader itself, which they are told; the others are about the one that is asked. */
const localMethods = [
  '/cloudless.api.v1.CoordinatorService/Session',
  '/cloudless.api.v1.CoordinatorService/DescribeCoordinator',
  '/cloudless.api.v1.CoordinatorService/RecoverCoordinator',
]

export class CallRoute {
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #changed = Promise.withResolvers<void>()
  #leads: () => boolean = () => false
  #link: LeaderLink | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `leads` is asked for each call: a term can end at any moment by the clock. */
  toHere(leads: () => boolean): void {
    this.#set(leads, undefined)
  }

  toLeader(link: LeaderLink | undefined): void {
    this.#set(() => false, link)
  }

  /** Calls that wait are served here, which refuses them. */
  close(): void {
    this.#closing.abort()
    this.#changed.resolve()
  }

  /** False when the call is to be served here at once. */
  take(call: ForwardableCall): boolean {
    const path = (call.request.url ?? '').split('?', 1)[0]!
    if (!path.startsWith('/cloudless.') || localMethods.includes(path)) return false
    if (this.#leads()) return false
    if (this.#link?.isConnected) this.#link.forward(call.request, call.response, call.connection)
    else void this.#wait(call)
    return true
  }

  async #wait(call: ForwardableCall): Promise<void> {
    const { request, response, connection, serveHere } = call
    const untilMs = this.#clock.monotonicMs() + waitMsMax
    while (!callerLeft(response)) {
      if (this.#leads()) return serveHere()
      if (this.#link?.isConnected) return this.#link.forward(request, response, connection)
      const leftMs = untilMs - this.#clock.monotonicMs()
      if (leftMs <= 0 || this.#closing.signal.aborted) return serveHere()
      await this.#change(leftMs)
    }
  }

  async #change(msMax: number): Promise<void> {
    const over = new AbortController()
    try {
      await Promise.race([
        this.#changed.promise,
        ...(this.#link === undefined ? [] : [this.#link.connected]),
        sleep(this.#clock, msMax, over.signal).catch(() => undefined), // Another was sooner.
      ])
    } finally {
      over.abort()
    }
  }

  #set(leads: () => boolean, link: LeaderLink | undefined): void {
    this.#leads = leads
    this.#link = link
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
