/**
 * Connections that this agent dials and the coordinator calls: after the TLS handshake the roles turn round, and HTTP/2 is
 * served on the dialled socket. Dropped when nobody has called for a while.
 */
import { createServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { CloudlessError, type Clock } from '@cloudless/base'
import type { AgentLogger } from '../logger.ts'
import { parseCoordinatorAddress } from '../membership/coordinator-connection.ts'

export const reversedProtocol = 'cloudless-agent'

export type Http2Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void

export interface ReversedConnectionsDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  readonly handler: Http2Handler
  /** With the newest credentials and the protocol above. */
  readonly tls: () => ConnectionOptions
}

export interface ReversedConnectionsOptions {
  /** Milliseconds without a call; 60,000 when not given. */
  readonly idleMs?: number
}

const handshakeMsMax = 5_000
const keepAliveDelayMs = 30_000
/** One for each coordinator of a large cluster, and some on their way out. */
const connectionsMax = 16

export class ReversedConnections {
  readonly #deps: ReversedConnectionsDeps
  readonly #idleMs: number
  readonly #sockets = new Set<TLSSocket>()

  constructor(deps: ReversedConnectionsDeps, options: ReversedConnectionsOptions = {}) {
    this.#deps = deps
    this.#idleMs = options.idleMs ?? 60_000
  }

  get count(): number {
    return this.#sockets.size
  }

  /** Dials the coordinator at "host:port"; a failure is only said, because the coordinator asks again. */
  dial(address: string, connectionId: string): void {
    const { clock, logger, tls } = this.#deps
    if (this.#sockets.size >= connectionsMax) {
      const said = `not dialling ${address}: ${connectionsMax} reversed connections are open`
      return logger.warn({ connectionId }, said)
    }
    const socket = connect({ ...parseCoordinatorAddress(address), ...tls() })
    this.#sockets.add(socket)
    const giveUp = clock.after(handshakeMsMax, () =>
      socket.destroy(new CloudlessError('deadline_exceeded', 'no handshake in time')),
    )
    socket.once('secureConnect', () => {
      giveUp()
      if (socket.alpnProtocol === reversedProtocol) this.#serve(socket, connectionId)
      else socket.destroy(new CloudlessError('unavailable', 'it does not speak our protocol'))
    })
    socket.on('error', (reason) => {
      logger.warn({ connectionId, address }, `the reversed connection failed: ${reason.message}`)
    })
    socket.once('close', () => {
      giveUp()
      this.#sockets.delete(socket)
    })
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(socket: TLSSocket, connectionId: string): void {
    const { clock, handler, logger } = this.#deps
    let calls = 0
    let cancelIdle = (): void => {}
    const idle = (): void => {
      cancelIdle = clock.after(this.#idleMs, () => socket.end(() => socket.destroy()))
    }
    const server = createServer({}, (request, response) => {
      calls++
      cancelIdle()
      response.once('close', () => {
        calls--
        if (calls === 0 && !socket.destroyed) idle()
      })
      handler(request, response)
    })
    server.on('sessionError', (reason) => {
      logger.debug({ connectionId }, `a reversed connection ended badly: ${String(reason)}`)
    })
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveDelayMs) // Notices a coordinator that is gone without a word.
    socket.once('close', () => cancelIdle())
    idle()
    server.emit('connection', socket)
    logger.debug({ connectionId }, 'serving a reversed connection')
  }
}
