/**
 * The one TLS port: TLS 1.3, no session tickets, a client certificate asked for and judged by us. What the client means
 * is in its ALPN: HTTP/2 or HTTP/1.1 for the API, "cloudless-agent" for a connection that the agent will serve.
 */
import { constants } from 'node:crypto'
import { createServer as createHttp1Server, type Server as Http1Server } from 'node:http'
import { createServer as createHttp2Server, type Http2Server, type Http2Session } from 'node:http2'
import type { Server } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { Clock } from '@cloudless/base'
import { identifyPeer, type Credentials, type TrustAnchor } from '@cloudless/identity'
import { ClientConnection, type MembershipChecks } from './client-connection.ts'
import type { ConnectionTable } from './connection-table.ts'
import type { HttpRequest, HttpResponse } from './rpc-handler.ts'
import { listen, type BoundAddress, type ListenAddress } from './listen.ts'

/** ALPN of the connection on which the agent serves and the coordinator calls. */
export const agentAlpn = 'cloudless-agent'

export interface TlsListenerDeps {
  readonly clock: Clock
  readonly anchor: TrustAnchor
  readonly checks: MembershipChecks
  readonly connections: ConnectionTable
  readonly onRequest: (
    request: HttpRequest,
    response: HttpResponse,
    connection: ClientConnection,
  ) => void
  /** An agent has dialled back; the socket is now the callee's. */
  readonly onAgent: (nodeId: string, socket: TLSSocket) => void
}

export interface TlsListenerOptions {
  readonly addresses: readonly ListenAddress[]
  readonly credentials: Credentials
  /** Open connections of one address; 20,000 when not given. */
  readonly connectionsMax?: number
  /** Of them, those without a certificate of ours; 1,000 when not given. */
  readonly strangersMax?: number
}

export interface TlsListener {
  readonly addresses: readonly BoundAddress[]
  /** New connections see the new certificate; open ones stay. */
  replaceCredentials(credentials: Credentials): void
  /** Refuses new connections; open ones stay until the connection table closes them. */
  close(): Promise<void>
}

const connectionsMaxDefault = 20_000
const handshakeTimeoutMs = 10_000
const keepAliveDelayMs = 30_000
/** Connections of strangers: enough for many devices to enrol at once, and too few to crowd out members. */
const strangersMaxDefault = 1_000
/** A stranger's connection is closed after this, whatever happens on it: enrolling takes a second. */
const strangerMsMax = 60_000
/** An HTTP/1.1 connection on which nothing happens for so long is closed. */
const http1IdleMsMax = 120_000
const streamsMax = 1_000
const sessionMemoryMegabytesMax = 64

const connectionKey = Symbol('connection')

interface TaggedSocket {
  [connectionKey]?: ClientConnection
}

/** `failed_precondition` when a port is taken, saying by whom. */
export async function startTlsListener(
  deps: TlsListenerDeps,
  options: TlsListenerOptions,
): Promise<TlsListener> {
  const http = createHttpServers(deps)
  let connectionCount = 0
  let strangerCount = 0
  const servers: ReturnType<typeof createServer>[] = []
  const accept = (socket: TLSSocket): void => {
    socket.on('error', () => socket.destroy()) // A client that breaks off is no event of ours.
    socket.setKeepAlive(true, keepAliveDelayMs)
    socket.setNoDelay(true)
    const peer = identifyPeer(socket, deps.anchor, deps.clock.wallMs())
    if (peer.kind !== 'member') {
      if (strangerCount >= (options.strangersMax ?? strangersMaxDefault))
        return void socket.destroy()
      strangerCount++
      const cancel = deps.clock.after(strangerMsMax, () => socket.destroy())
      socket.once('close', () => {
        strangerCount--
        cancel()
      })
    }
    const connection = new ClientConnection(++connectionCount, socket, {
      peer,
      checks: deps.checks,
    })
    deps.connections.add(connection)
    if (socket.alpnProtocol === agentAlpn) return acceptAgent(deps, connection, socket)
    ;(socket as TaggedSocket)[connectionKey] = connection
    const server = socket.alpnProtocol === 'h2' ? http.http2 : http.http1
    server.emit('connection', socket)
  }
  const bound: BoundAddress[] = []
  try {
    for (const address of options.addresses) {
      const server = createServer(tlsOptions(options.credentials), accept)
      server.maxConnections = options.connectionsMax ?? connectionsMaxDefault
      server.on('tlsClientError', (_reason, socket) => socket.destroy()) // Scanners; plain HTTP.
      servers.push(server)
      bound.push(await listen(server, address, 'the API'))
    }
  } catch (reason) {
    await closeAll(servers)
    throw reason
  }
  return {
    addresses: bound,
    replaceCredentials: (credentials) => {
      for (const server of servers) server.setSecureContext(tlsOptions(credentials))
    },
    close: () => closeAll(servers),
  }
}

function tlsOptions(credentials: Credentials) {
  return {
    key: credentials.keyPem,
    // With the CA's, so that an agent that knows only its fingerprint can get it.
    cert: credentials.certificatePem + credentials.caPem,
    ca: credentials.caPem,
    minVersion: 'TLSv1.3' as const,
    secureOptions: constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeTimeoutMs,
    ALPNProtocols: ['h2', 'http/1.1', agentAlpn],
  }
}

function acceptAgent(deps: TlsListenerDeps, connection: ClientConnection, socket: TLSSocket): void {
  const peer = connection.peerAt(deps.clock.wallMs())
  if (peer.kind === 'member' && peer.type === 'node' && !peer.expired) {
    deps.onAgent(peer.id, socket)
  } else {
    socket.destroy()
  }
}

/** Two servers that listen nowhere: they are given sockets that have shaken hands. */
function createHttpServers(deps: TlsListenerDeps): {
  readonly http1: Http1Server
  readonly http2: Http2Server
} {
  const onRequest = (request: HttpRequest, response: HttpResponse): void => {
    const connection = (request.socket as TaggedSocket | undefined)?.[connectionKey]
    if (connection === undefined) {
      response.destroy() // The connection broke before its request was read.
      return
    }
    deps.onRequest(request, response, connection)
  }
  const http1 = createHttp1Server({ keepAliveTimeout: http1IdleMsMax }, onRequest)
  http1.timeout = http1IdleMsMax
  const http2 = createHttp2Server(
    {
      settings: { maxConcurrentStreams: streamsMax },
      maxSessionMemory: sessionMemoryMegabytesMax,
    },
    onRequest,
  )
  http2.on('sessionError', (_reason: Error, session: Http2Session) => session.destroy())
  return { http1, http2 }
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  for (const server of servers) {
    // Open connections belong to the connection table: waiting for them here would wait for clients.
    server.close()
  }
}
