/**
 * The members of an etcd cluster as a client dials them: one is asked as long as it answers, then the next.
 *
 * A call that changes nothing is repeated at another member until its time is up. One that changes something is repeated
 * only when it surely was not heard: what may have been done is not done twice.
 */
import type { SecureClientSessionOptions } from 'node:http2'
import { sleep, within, type Clock } from '@cloudless/base'
import { Code, ConnectError, createClient, type Client } from '@connectrpc/connect'
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import {
  Cluster,
  KV,
  Lease,
  Maintenance,
  Watch,
} from '../gen/etcd/etcdserver/etcdserverpb/rpc_pb.ts'
import { isPassing, wasNotTaken } from './failure.ts'

export interface MemberClients {
  /** "host:port". */
  readonly address: string
  readonly kv: Client<typeof KV>
  readonly lease: Client<typeof Lease>
  readonly watch: Client<typeof Watch>
  readonly maintenance: Client<typeof Maintenance>
  readonly cluster: Client<typeof Cluster>
}

export interface MembersOptions {
  /** Where they serve clients, such as "https://10.0.0.2:2379"; at least one. */
  readonly endpoints: readonly string[]
  /** Key, certificate and CA in PEM, read anew for each connection; none for plain HTTP. */
  readonly tls?: Pick<SecureClientSessionOptions, 'ca' | 'cert' | 'key'>
}

interface Member extends MemberClients {
  readonly sessions: Http2SessionManager
}

export interface CallOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
}

/** A connection that does not answer this long after a ping is dead. */
const pingIntervalMs = 2_000
const pingTimeoutMs = 3_000
const pauseMs = 50

/**
 * A member that has lost its leader says so at once, in place of serving what may be old, or of taking what would be lost in it
 * and answered after seconds.
 */
export const requireLeader = { hasleader: 'true' }

export class Members {
  readonly #clock: Clock
  readonly #members: readonly Member[]
  #current = 0

  constructor(clock: Clock, { endpoints, tls }: MembersOptions) {
    this.#clock = clock
    this.#members = endpoints.map((endpoint) => memberAt(endpoint, tls))
  }

  get addresses(): string[] {
    return this.#members.map(({ address }) => address)
  }

  /** The one that answers, as far as is known. */
  get current(): MemberClients {
    return this.#members[this.#current]!
  }

  /** This one did not answer: another is asked from now on. */
  givesWay(member: MemberClients): void {
    if (this.current === member) this.#current = (this.#current + 1) % this.#members.length
  }

  /** Repeated until it is answered or its time is up. */
  async read<T>(
    call: (member: MemberClients, options: CallOptions) => Promise<T>,
    options: CallOptions,
  ): Promise<T> {
    return this.#call(call, options, isPassing)
  }

  /** Repeated only while nobody has heard it, or taken it. */
  async change<T>(
    call: (member: MemberClients, options: CallOptions) => Promise<T>,
    options: CallOptions,
  ): Promise<T> {
    return this.#call(call, options, wasNotTaken)
  }

  close(): void {
    for (const { sessions } of this.#members) sessions.abort()
  }

  async #call<T>(
    call: (member: MemberClients, options: CallOptions) => Promise<T>,
    { timeoutMs: wholeMs, signal, headers = {} }: CallOptions,
    mayRepeat: (reason: unknown) => boolean,
  ): Promise<T> {
    const clock = this.#clock
    const untilMs = clock.monotonicMs() + wholeMs
    for (let tried = 1; ; tried++) {
      const member = this.current
      const leftMs = Math.max(1, Math.ceil(untilMs - clock.monotonicMs()))
      // The last of them has all the time that is left; one that is silent must leave some for the others.
      const shareMs = Math.max(minimumMs, leftMs / Math.max(1, this.#members.length - tried + 1))
      try {
        const timeoutMs = Math.min(leftMs, shareMs)
        return await within(
          clock,
          timeoutMs + overdueMs,
          call(member, { timeoutMs, signal, headers }),
          () => new ConnectError('the member did not answer in time', Code.DeadlineExceeded),
        )
      } catch (reason) {
        if (isPassing(reason)) this.givesWay(member)
        const isOver = clock.monotonicMs() + pauseMs >= untilMs
        if (signal.aborted || isOver || !mayRepeat(reason)) throw reason
        if (tried % this.#members.length === 0) await sleep(clock, pauseMs, signal)
      }
    }
  }
}

/** What is left to one member at least. */
const minimumMs = 500
/** The library ends a call in time, but for one whose connection is given up while it writes. */
const overdueMs = 250

function memberAt(endpoint: string, tls: MembersOptions['tls'] = {}): Member {
  const sessions = new Http2SessionManager(endpoint, { pingIntervalMs, pingTimeoutMs }, tls)
  const transport = createGrpcTransport({ baseUrl: endpoint, sessionManager: sessions })
  return {
    address: new URL(endpoint).host,
    sessions,
    kv: createClient(KV, transport),
    lease: createClient(Lease, transport),
    watch: createClient(Watch, transport),
    maintenance: createClient(Maintenance, transport),
    cluster: createClient(Cluster, transport),
  }
}
