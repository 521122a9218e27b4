/**
 * One session with one coordinator, from hello to its end.
 *
 * Heartbeats are sent from a timer and wait for nothing: assignments are applied one after another beside them, and
 * observations go out as they come. Silence of the coordinator for three intervals ends the session, or for as long as it
 * bears ours: on a link that loses much, a new connection would lose as much.
 */
import { create } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  fromConnectError,
  type AgentMessage,
  type AssignmentUpdate,
  type CoordinatorMessage,
  type HeartbeatRequest,
  type Hello,
  type ReplicaObservation,
  type Welcome,
} from '@cloudless/api'
import { CloudlessError, sleep, type Clock } from '@cloudless/base'
import type { AgentLogger } from '../logger.ts'
import type { CoordinatorConnection } from './coordinator-connection.ts'
import { OutgoingQueue } from './outgoing-queue.ts'

/** What the session carries, and whom it tells. */
export interface SessionPorts {
  hello(): Hello
  heartbeat(roundTripMs: number): HeartbeatRequest
  /** Resolves when it was acted on; `recorded` when all of it is on disk. */
  apply(update: AssignmentUpdate): Promise<{ readonly recorded: boolean }>
  listen(listener: ((observations: ReplicaObservation[]) => void) | undefined): void
  welcomed(welcome: Welcome, connection: CoordinatorConnection): void
  /** "host:port" of all coordinators: they have changed. */
  coordinators(addresses: readonly string[]): void
  /** The coordinator's clock, with each answer. Unix milliseconds. */
  coordinatorTime(wallMs: number, roundTripMs: number): void
  dialBack(connectionId: string): void
}

export interface SessionDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  readonly ports: SessionPorts
}

export interface SessionOptions {
  readonly connection: CoordinatorConnection
  /** Milliseconds; 0: the coordinator's interval as it is. */
  readonly heartbeatMsMax: number
  /** Milliseconds until the coordinator must have answered. */
  readonly welcomeMsMax: number
  /** How long it may be silent at most, whatever it bears itself. Milliseconds. */
  readonly silenceMsMax: number
}

export interface Eviction {
  /** "removed" or "superseded". */
  readonly reason: string
  readonly message: string
  /** Superseded by an agent of another machine. */
  readonly elsewhere: boolean
}

export type SessionEnd =
  | ({ readonly kind: 'evicted' } & Eviction)
  /** We said goodbye. */
  | { readonly kind: 'left' }
  /** To be opened again; `welcomed` says whether it ever worked. */
  | { readonly kind: 'lost'; readonly error: CloudlessError; readonly welcomed: boolean }

/** What a coordinator asks with the welcome and with each answer. */
interface Asked {
  readonly heartbeatIntervalMs: bigint
  readonly silenceLimitMs: bigint
}

const intervalMsMin = 50
const silentIntervalsMax = 3
/** With short intervals a busy machine needs more than three of them. */
const silenceMsMin = 2_000
/** What is left to wait for is the flush. */
const goodbyeMsMax = 500
const applyRetryMs = 1_000
const lateHeartbeatMs = 500

export class Session {
  readonly #deps: SessionDeps
  readonly #connection: CoordinatorConnection
  readonly #heartbeatMsMax: number
  readonly #welcomeMsMax: number
  readonly #silenceMsMax: number
  readonly #outgoing = new OutgoingQueue<AgentMessage>()
  readonly #abort = new AbortController()
  #cancelTimer: () => void = () => {}
  #intervalMs = 1_000
  #silenceLimitMs = 0
  #sequence = 0n
  #sentAtMs = 0
  #heardAtMs = 0
  #roundTripMs = 0
  #welcomed = false
  #leaving = false
  #evicted: Eviction | undefined
  #applying: Promise<void> = Promise.resolve()

  constructor(deps: SessionDeps, options: SessionOptions) {
    const { connection, heartbeatMsMax, welcomeMsMax, silenceMsMax } = options
    this.#deps = deps
    this.#welcomeMsMax = welcomeMsMax
    this.#silenceMsMax = silenceMsMax
    this.#connection = connection
    this.#heartbeatMsMax = heartbeatMsMax || Number.POSITIVE_INFINITY
  }

  /** Runs to its end; never rejects. */
  async run(): Promise<SessionEnd> {
    const { clock, ports } = this.#deps
    this.#heardAtMs = clock.monotonicMs()
    this.#cancelTimer = clock.after(this.#welcomeMsMax, () => {
      const seconds = this.#welcomeMsMax / 1_000
      const waited = `${this.#connection.address} did not answer within ${seconds} s`
      this.#fail(new CloudlessError('deadline_exceeded', waited))
    })
    let error = new CloudlessError('unavailable', 'the coordinator closed the session')
    try {
      this.#send({ case: 'hello', value: ports.hello() })
      // From here on: what changes before the welcome is in no hello.
      ports.listen((replicas) => this.#send({ case: 'replicas', value: { replicas } }))
      const stream = this.#connection.client.session(this.#outgoing.drain(), {
        signal: this.#abort.signal,
      })
      for await (const message of stream) this.#receive(message)
    } catch (reason) {
      const aborted: unknown = this.#abort.signal.reason
      error = aborted instanceof CloudlessError ? aborted : fromConnectError(reason)
    }
    this.#end()
    if (this.#evicted !== undefined) return { kind: 'evicted', ...this.#evicted }
    if (this.#leaving) return { kind: 'left' }
    return { kind: 'lost', error, welcomed: this.#welcomed }
  }

  /** Says goodbye and lets the stream end; `run` resolves soon after. */
  leave(expectedBackMs: number, reason: string): void {
    if (this.#leaving) return
    this.#leaving = true
    this.#send({ case: 'goodbye', value: { expectedBackMs: BigInt(expectedBackMs), reason } })
    this.#outgoing.end()
    this.#cancelTimer()
    this.#cancelTimer = this.#deps.clock.after(goodbyeMsMax, () => this.#abort.abort())
  }

  /** Out of turn, for news that must not wait for the next one. Does nothing before the welcome. */
  heartbeatNow(): void {
    if (this.#welcomed && !this.#leaving && !this.#abort.signal.aborted) this.#heartbeat()
  }

  #receive(message: CoordinatorMessage): void {
    const { clock, ports } = this.#deps
    this.#heardAtMs = clock.monotonicMs()
    const { message: inner } = message
    switch (inner.case) {
      case 'welcome':
        return this.#welcome(inner.value)
      case 'assignments':
        return this.#apply(inner.value)
      case 'dialBack':
        return ports.dialBack(inner.value.connectionId)
      case 'heartbeatAck': {
        const { sequence, wallTimeMs } = inner.value
        if (sequence === this.#sequence) this.#roundTripMs = this.#heardAtMs - this.#sentAtMs
        this.#keepPace(inner.value)
        return ports.coordinatorTime(Number(wallTimeMs), this.#roundTripMs)
      }
      case 'evicted':
        this.#evicted = inner.value
        return this.#abort.abort()
      default:
        return // A newer coordinator may say more; what we do not know we need not do.
    }
  }

  #welcome(welcome: Welcome): void {
    if (this.#leaving) return
    const { ports } = this.#deps
    // Said again, it tells of coordinators that have come or gone.
    if (this.#welcomed) return ports.coordinators(welcome.coordinators)
    this.#welcomed = true
    this.#keepPace(welcome)
    ports.welcomed(welcome, this.#connection)
    ports.coordinatorTime(Number(welcome.wallTimeMs), 0)
    this.#cancelTimer()
    this.#heartbeat()
    this.#schedule()
  }

  /** One after another; what fails altogether is tried again for as long as the session lasts. */
  #apply(update: AssignmentUpdate): void {
    const before = this.#applying
    this.#applying = this.#applyAfter(before, update)
  }

  async #applyAfter(before: Promise<void>, update: AssignmentUpdate): Promise<void> {
    await before
    const { signal } = this.#abort
    while (!signal.aborted) {
      try {
        const { recorded } = await this.#deps.ports.apply(update)
        if (recorded) this.#send({ case: 'applied', value: { version: update.version } })
        return
      } catch (reason) {
        const { code, message } = CloudlessError.from(reason)
        this.#deps.logger.error({ code }, `cannot apply assignments, trying again: ${message}`)
      }
      await sleep(this.#deps.clock, applyRetryMs, signal).catch(() => undefined) // Looked at above.
    }
  }

  #schedule(): void {
    const { clock, logger } = this.#deps
    const dueMs = clock.monotonicMs() + this.#intervalMs
    this.#cancelTimer = clock.after(this.#intervalMs, () => {
      const lateMs = clock.monotonicMs() - dueMs
      if (lateMs > lateHeartbeatMs) {
        // We were the ones who did not listen: give the answers time to be read.
        this.#heardAtMs += lateMs
        logger.warn({ lateMs: Math.round(lateMs) }, 'a heartbeat was late: this machine is busy')
      }
      this.#heartbeat()
      this.#schedule()
      const silentMs = clock.monotonicMs() - this.#heardAtMs
      const silentMsMax = Math.max(
        silenceMsMin,
        this.#intervalMs * silentIntervalsMax,
        this.#silenceLimitMs,
      )
      if (silentMs > silentMsMax) {
        const said = `nothing heard from ${this.#connection.address} for ${Math.round(silentMs)} ms`
        this.#fail(new CloudlessError('unavailable', said))
      }
    })
  }

  #heartbeat(): void {
    this.#sequence += 1n
    this.#sentAtMs = this.#deps.clock.monotonicMs()
    const heartbeat = this.#deps.ports.heartbeat(this.#roundTripMs)
    this.#send({ case: 'heartbeat', value: { ...heartbeat, sequence: this.#sequence } })
  }

  #keepPace({ heartbeatIntervalMs, silenceLimitMs }: Asked): void {
    this.#silenceLimitMs = Math.min(Number(silenceLimitMs), this.#silenceMsMax)
    if (heartbeatIntervalMs <= 0n) return
    const askedMs = Math.min(Number(heartbeatIntervalMs), this.#heartbeatMsMax)
    this.#intervalMs = Math.max(intervalMsMin, askedMs)
  }

  #send(message: Parameters<typeof createMessage>[0]): void {
    try {
      this.#outgoing.push(createMessage(message))
    } catch (reason) {
      this.#fail(CloudlessError.from(reason))
    }
  }

  #fail(error: CloudlessError): void {
    this.#abort.abort(error)
  }

  #end(): void {
    this.#deps.ports.listen(undefined)
    this.#cancelTimer()
    this.#outgoing.end()
    this.#abort.abort()
  }
}

function createMessage(
  message: NonNullable<Parameters<typeof create<typeof AgentMessageSchema>>[1]>['message'],
): AgentMessage {
  return create(AgentMessageSchema, message === undefined ? {} : { message })
}
