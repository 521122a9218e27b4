/** The few paths beside the RPCs: is it alive, is it ready, its metrics. Everything else is a 404 in JSON. */
import { CloudlessError } from '@cloudless/base'
import type { PeerIdentity } from '@cloudless/identity'

/** What is used of a request and a response, of HTTP/1.1 and of HTTP/2. */
export interface PathRequest {
  readonly url?: string | undefined
  readonly method?: string | undefined
}

export interface PathResponse {
  writeHead(status: number, headers: Record<string, string | number>): unknown
  end(text: string): unknown
}

export type Readiness =
  | { readonly ready: true }
  /** One sentence says what is waited for. */
  | { readonly ready: false; readonly reason: string }

export interface HttpPathsDeps {
  readonly readiness: () => Readiness
  /** The metrics in Prometheus' text form; absent: 404. */
  readonly metrics?: () => Promise<{ readonly contentType: string; readonly text: string }>
}

export interface HttpPathsOptions {
  /** Whether everyone who reaches this listener may read the metrics; otherwise operators only. */
  readonly openMetrics: boolean
}

/** Answers one request. `peer` is who asks; on a plain listener, anonymous. */
export async function answerPath(
  deps: HttpPathsDeps,
  options: HttpPathsOptions,
  exchange: {
    readonly request: PathRequest
    readonly response: PathResponse
    readonly peer: PeerIdentity
  },
): Promise<void> {
  const { request, response, peer } = exchange
  const path = (request.url ?? '').split('?', 1)[0]!
  if (path === '/healthz' || path === '/health') {
    return onlyReading(request, response) ? sendJson(response, 200, { status: 'ok' }) : undefined
  }
  if (path === '/readyz' || path === '/ready') {
    if (!onlyReading(request, response)) return
    const readiness = deps.readiness()
    if (readiness.ready) return sendJson(response, 200, { status: 'ready' })
    return sendJson(response, 503, { status: 'not ready', reason: readiness.reason })
  }
  if (path === '/metrics' && deps.metrics !== undefined) {
    if (!onlyReading(request, response)) return
    const refusal = options.openMetrics ? undefined : refusalOfMetrics(peer)
    if (refusal !== undefined) return sendError(response, refusal.status, refusal.error)
    const { contentType, text } = await deps.metrics()
    response.writeHead(200, { 'content-type': contentType })
    response.end(text)
    return
  }
  sendError(
    response,
    404,
    new CloudlessError('not_found', `there is nothing at ${path.slice(0, 200)}`),
  )
}

function refusalOfMetrics(
  peer: PeerIdentity,
): { readonly status: number; readonly error: CloudlessError } | undefined {
  if (peer.kind === 'member' && !peer.expired) {
    if (peer.type === 'operator') return undefined
    const message = `the ${peer.type} "${peer.id}" may not read the metrics; they are for operators`
    return { status: 403, error: new CloudlessError('permission_denied', message) }
  }
  const message = 'the metrics need the client certificate of an operator'
  return { status: 401, error: new CloudlessError('unauthenticated', message) }
}

function onlyReading(request: PathRequest, response: PathResponse): boolean {
  if (request.method === 'GET' || request.method === 'HEAD') return true
  const message = `${request.method} is not possible here; use GET`
  sendError(response, 405, new CloudlessError('invalid_argument', message))
  return false
}

function sendError(response: PathResponse, status: number, error: CloudlessError): void {
  sendJson(response, status, { code: error.code, message: error.message })
}

function sendJson(response: PathResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
