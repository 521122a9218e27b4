/**
 * AgentService on an address of the node's own, for networks where one may dial in. Mutual TLS: who may call what is the
 * one authorization table's to say, for /metrics too; only the health paths are open. Off unless configured.
 *
 * A refusal is an HTTP status, which every protocol's client takes for its own code, with Connect's words in the body.
 */
import { constants } from 'node:crypto'
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from 'node:http2'
import type { Server } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '@cloudless/base'
import {
  authorizeCall,
  createTrustAnchor,
  identifyPeer,
  type AccessVerdict,
  type LoadedCredentials,
  type PeerIdentity,
} from '@cloudless/identity'
import type { Http2Handler } from '../service/reversed-connections.ts'
import { answerEndpoint, listenOn, type EndpointSources } from './http-endpoints.ts'

export interface DirectListenerDeps {
  readonly clock: Clock
  readonly handler: Http2Handler
  readonly credentials: () => LoadedCredentials
  readonly endpoints: EndpointSources
}

const handshakeMsMax = 5_000
const connectionsMax = 256
const openPaths: ReadonlySet<string> = new Set(['/healthz', '/health', '/readyz', '/ready'])

/** `failed_precondition` when the address is taken. */
export async function listenDirectly(
  deps: DirectListenerDeps,
  options: { readonly address: string; readonly trustDomain: string },
): Promise<{ close(): void }> {
  const { clock, endpoints, handler } = deps
  let shown = deps.credentials()
  const anchor = createTrustAnchor(shown.caPem, options.trustDomain)
  const answer = async (
    request: Http2ServerRequest,
    response: Http2ServerResponse,
  ): Promise<void> => {
    const path = request.url.split('?')[0]!
    const socket = (request.stream?.session?.socket ?? request.socket) as TLSSocket
    if (!openPaths.has(path)) {
      const verdict = judge(identifyPeer(socket, anchor, clock.wallMs()), path)
      if (verdict.kind !== 'allowed') return refuse(response, verdict)
    }
    if (path.startsWith('/cloudless.')) return handler(request, response)
    const names = ['health', 'metrics'] as const
    const { status, contentType, body } = await answerEndpoint(path, names, endpoints)
    response.writeHead(status, { 'Content-Type': contentType }).end(body)
  }
  const server = createSecureServer(
    {
      ...contextOf(shown),
      requestCert: true,
      rejectUnauthorized: false, // Judged above, so that the answer can say why.
      handshakeTimeout: handshakeMsMax,
      allowHTTP1: true,
    },
    (request, response) => {
      answer(request, response).catch(() => response.stream?.destroy())
    },
  )
  ;(server as unknown as Server).maxConnections = connectionsMax
  // Before each handshake, so that a renewed certificate is shown at once and no timer is needed.
  server.prependListener('connection', () => {
    const newest = deps.credentials()
    if (newest.serial === shown.serial) return
    shown = newest
    server.setSecureContext(contextOf(newest))
  })
  const sessions = new Set<Http2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  await listenOn(server as unknown as Server, options.address)
  return {
    close() {
      server.close()
      for (const session of sessions) session.destroy()
    },
  }
}

/** Figures are for those who may ask for resources. */
function judge(peer: PeerIdentity, path: string): AccessVerdict {
  const [, typeName = '', method = ''] = path.split('/')
  const isCall = typeName.startsWith('cloudless.') && method !== ''
  const localName = isCall ? method[0]!.toLowerCase() + method.slice(1) : 'reportResources'
  const service = isCall ? typeName : 'cloudless.api.v1.AgentService'
  return authorizeCall(peer, { localName, parent: { typeName: service } })
}

function refuse(
  response: Http2ServerResponse,
  verdict: Exclude<AccessVerdict, { kind: 'allowed' }>,
): void {
  const anonymous = verdict.kind === 'unauthenticated'
  const code = anonymous ? 'unauthenticated' : 'permission_denied'
  response.writeHead(anonymous ? 401 : 403, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify({ code, message: verdict.message }))
}

function contextOf(credentials: LoadedCredentials) {
  return {
    key: credentials.keyPem,
    cert: credentials.certificatePem + credentials.caPem,
    ca: credentials.caPem,
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET, // Each connection shows its certificate.
  } as const
}
