/**
 * AgentService on an address of the node's own, for networks where the coordinator may dial in. Mutual TLS: only a
 * coordinator or an operator of the cluster is answered. Off unless configured.
 */
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Server } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '@cloudless/base'
import { createTrustAnchor, identifyPeer, type LoadedCredentials } from '@cloudless/identity'
import type { Http2Handler } from '../service/reversed-connections.ts'
import { answerEndpoint, listenOn, type EndpointSources } from './http-endpoints.ts'

export interface DirectListenerDeps {
  readonly clock: Clock
  readonly handler: Http2Handler
  readonly credentials: () => LoadedCredentials
  readonly endpoints: EndpointSources
}

/** The newest certificate is taken up at this pace. */
const refreshMs = 60_000

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
    const open = path === '/healthz' || path === '/readyz'
    const socket = (request.stream?.session?.socket ?? request.socket) as TLSSocket
    const peer = identifyPeer(socket, anchor, clock.wallMs())
    const known = peer.kind === 'member' && !peer.expired
    const allowed = known && (peer.type === 'controller' || peer.type === 'operator')
    if (!open && !allowed) {
      const status = known ? 403 : 401
      response.writeHead(status, { 'Content-Type': 'application/json' })
      const code = known ? 'permission_denied' : 'unauthenticated'
      const message = 'only a coordinator or an operator of this cluster may call an agent'
      return void response.end(JSON.stringify({ code, message }))
    }
    if (path.startsWith('/cloudless.')) return handler(request, response)
    const { status, contentType, body } = await answerEndpoint(
      path,
      ['health', 'metrics'],
      endpoints,
    )
    response.writeHead(status, { 'Content-Type': contentType }).end(body)
  }
  const server = createSecureServer(
    {
      ...pemOf(shown),
      ca: shown.caPem,
      requestCert: true,
      rejectUnauthorized: false, // Judged above, so that the answer can say why.
      minVersion: 'TLSv1.3',
      allowHTTP1: true,
    },
    (request, response) => {
      answer(request, response).catch(() => response.stream?.destroy())
    },
  )
  await listenOn(server as unknown as Server, options.address)
  let cancel = (): void => {}
  const refresh = (): void => {
    const newest = deps.credentials()
    if (newest.serial !== shown.serial) {
      shown = newest
      server.setSecureContext({ ...pemOf(shown), minVersion: 'TLSv1.3' })
    }
    cancel = clock.after(refreshMs, refresh)
  }
  refresh()
  return {
    close() {
      cancel()
      server.close()
    },
  }
}

function pemOf(credentials: LoadedCredentials): { key: string; cert: string } {
  return { key: credentials.keyPem, cert: credentials.certificatePem + credentials.caPem }
}
