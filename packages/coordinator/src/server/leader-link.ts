/**
 * A follower's connection to the leader: calls that it gets are sent on over it, and its end is the first sign that the
 * leader is gone. One whose machine refuses the next connection is dead for sure; of one that is only silent nothing is
 * concluded here.
 */
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { CloudlessError, sleep, systemCodeOf, within, type Clock } from '@cloudless/base'
import { tlsClientOptions, type Credentials } from '@cloudless/identity'
import type { ClientConnection } from './client-connection.ts'
import { answerBrokenOff } from './broken-off.ts'
import { encodeCaller, onBehalfHeader } from './on-behalf.ts'
import type { HttpRequest, HttpResponse } from './rpc-handler.ts'

export interface LeaderLinkDeps {
  readonly clock: Clock
  readonly trustDomain: string
  /** A certificate of this coordinator, for a new connection. */
  readonly credentials: () => Promise<Credentials>
  /** Its machine answers, and nobody listens there any more. */
  readonly onDead: () => void
  readonly onProblem: (message: string, reason: unknown) => void
}

export interface LeaderLinkOptions {
  readonly leaderId: string
  /** "host:port", tried in turn. */
  readonly addresses: readonly string[]
}

const connectMsMax = 2_000
const retryMs = 100
/** A connection that does not answer a ping within this time is given up. */
const pingPeriodMs = 1_000
const pingMsMax = 2_000
/** Well before its certificate runs out, a connection is replaced. */
const connectionMsMax = 6 * 3_600_000

export class LeaderLink {
  readonly #deps: LeaderLinkDeps
  readonly #options: LeaderLinkOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #session: ClientHttp2Session | undefined
  #heardUntilMs = Number.NEGATIVE_INFINITY
  #connected = Promise.withResolvers<void>()

  constructor(deps: LeaderLinkDeps, options: LeaderLinkOptions) {
    this.#deps = deps
    this.#options = options
    this.#running = this.#keepConnected()
  }

  get isConnected(): boolean {
    return this.#usable() !== undefined
  }

  /** When there last was a connection, monotonic milliseconds; minus infinity before the first. */
  get heardUntilMs(): number {
    return this.isConnected ? this.#deps.clock.monotonicMs() : this.#heardUntilMs
  }

  /** Resolves when there is a connection, at once when there is one. */
  get connected(): Promise<void> {
    this.#usable()
    return this.#connected.promise
  }

  /** Sends the call on to the leader, as its caller's. There must be a connection. */
  forward(request: HttpRequest, response: HttpResponse, connection: ClientConnection): void {
    const caller = {
      peer: connection.peerAt(this.#deps.clock.wallMs()),
      remoteAddress: connection.remoteAddress,
    }
    let stream: ClientHttp2Stream
    try {
      stream = this.#usable()!.request({
        ...forwardable(request.headers),
        [onBehalfHeader]: encodeCaller(caller),
        ':method': request.method ?? 'GET',
        ':path': request.url ?? '/',
      })
    } catch (reason) {
      // Whatever a caller has put into its headers, it is that one call's trouble.
      this.#deps.onProblem(`sending a call on to ${this.#options.leaderId}`, reason)
      return answerBrokenOff(request, response)
    }
    relay({ request, response, stream })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session?.destroy()
    await this.#running
  }

  /** One that is being closed takes no more calls, and says so some time before it ends. */
  #usable(): ClientHttp2Session | undefined {
    if (this.#session?.closed || this.#session?.destroyed) this.#giveUp(this.#session)
    return this.#session
  }

  #giveUp(session: ClientHttp2Session): void {
    if (this.#session !== session) return
    this.#heardUntilMs = this.#deps.clock.monotonicMs()
    this.#session = undefined
    this.#connected = Promise.withResolvers()
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.#closing
    for (let turn = 0; !signal.aborted; turn++) {
      const { addresses, leaderId } = this.#options
      const address = addresses[turn % addresses.length]!
      try {
        await this.#connectTo(address)
        turn-- // Where it was, it is asked again first.
      } catch (reason) {
        if (signal.aborted) return
        if (systemCodeOf(reason) === 'ECONNREFUSED') this.#deps.onDead()
        else this.#deps.onProblem(`reaching the leader ${leaderId} at ${address}`, reason)
        await sleep(this.#deps.clock, retryMs, signal).catch(() => undefined) // Looked at above.
      }
    }
  }

  /** Resolves when the connection that was made has ended; rejects when none could be made. */
  async #connectTo(address: string): Promise<void> {
    const { clock, trustDomain, credentials } = this.#deps
    const { signal } = this.#closing
    const own = await credentials()
    // An end that came meanwhile is told to nobody who begins to listen for it now.
    signal.throwIfAborted()
    const session = connect(`https://${address}`, {
      ...tlsClientOptions({
        caPem: own.caPem,
        trustDomain,
        serverType: 'controller',
        serverId: this.#options.leaderId,
        credentials: own,
      }),
      settings: { enablePush: false },
    })
    const ended = Promise.withResolvers<void>()
    const stop = (): void => session.destroy()
    signal.addEventListener('abort', stop, { once: true })
    session.once('close', () => {
      signal.removeEventListener('abort', stop)
      ended.resolve()
    })
    // What runs on it may end there; whatever comes goes over the next.
    session.once('goaway', () => ended.resolve())
    const cancelAge = clock.after(connectionMsMax, () => {
      session.close()
      ended.resolve()
    })
    try {
      await this.#established(session, address)
      this.#session = session
      this.#connected.resolve()
      session.once('close', this.#keepAsking(session))
      await ended.promise
    } finally {
      cancelAge()
      this.#giveUp(session)
      if (!session.closed) session.destroy()
    }
  }

  async #established(session: ClientHttp2Session, address: string): Promise<void> {
    const outcome = Promise.withResolvers<void>()
    session.on('error', outcome.reject) // Later ones are followed by its close.
    session.once('connect', () => outcome.resolve())
    session.once('close', () => outcome.reject(new Error('the connection was closed')))
    const overdue = `${address} did not answer within ${connectMsMax} ms`
    await within(
      this.#deps.clock,
      connectMsMax,
      outcome.promise,
      () => new CloudlessError('deadline_exceeded', overdue),
    )
  }

  #keepAsking(session: ClientHttp2Session): () => void {
    const { clock } = this.#deps
    let cancel: () => void = () => undefined
    const ask = (): void => {
      // Given up already, and its close is about to be told: a session like that throws when it is asked.
      if (session.destroyed) return
      cancel = clock.after(pingMsMax, () => session.destroy())
      session.ping((error) => {
        cancel()
        if (error === null && !session.destroyed) cancel = clock.after(pingPeriodMs, ask)
      })
    }
    ask()
    return () => cancel()
  }
}

/** Headers that say something of the one connection they came over. */
const ofConnection = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  onBehalfHeader,
])

function forwardable(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !name.startsWith(':') && !ofConnection.has(name)),
  )
}

function relay({
  request,
  response,
  stream,
}: {
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly stream: ClientHttp2Stream
}): void {
  // Either side that breaks off takes the other with it; whether the call was done is then not known to its caller.
  stream.on('error', () => undefined) // Its end follows.
  stream.once('close', () => answerBrokenOff(request, response))
  response.once('close', () => {
    if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
  })
  request.pipe(stream)
  stream.once('response', (headers) => {
    begin(response, headers)
    stream.on('trailers', (trailers) => response.addTrailers(trailersOf(trailers)))
    stream.pipe(response as NodeJS.WritableStream, { end: false })
    stream.once('end', () => response.end())
  })
}

/** Headers leave at once: the first message of a stream may be long in coming. */
function begin(response: HttpResponse, headers: IncomingHttpHeaders): void {
  response.statusCode = Number(headers[':status'] ?? 502)
  for (const [name, value] of Object.entries(forwardable(headers))) {
    response.setHeader(name, value as string)
  }
  if ('flushHeaders' in response) response.flushHeaders()
  else response.writeHead(response.statusCode)
}

function trailersOf(trailers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return forwardable(trailers)
}
