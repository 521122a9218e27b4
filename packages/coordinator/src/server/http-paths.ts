/** The few paths beside the RPCs: is it alive, is it ready, its metrics. Everything else is a 404 in JSON. */
import { CloudlessError } from '@cloudless/base'
import type { PeerIdentity } from '@cloudless/identity'
import type { ProfileKind } from '@cloudless/observability'

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
  /** Profiles of this process, in JSON; absent: 404. */
  readonly profile?: (kind: ProfileKind, durationMs: number) => Promise<string>
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
    const refusal = options.openMetrics ? undefined : refusalUnlessOperator(peer, 'the metrics')
    if (refusal !== undefined) return sendError(response, refusal.status, refusal.error)
    const { contentType, text } = await deps.metrics()
    response.writeHead(200, { 'content-type': contentType })
    response.end(text)
    return
  }
  const kind = /^\/debug\/profile\/(cpu|heap)$/.exec(path)?.[1] as ProfileKind | undefined
  if (kind !== undefined && deps.profile !== undefined) {
    return answerProfile(deps.profile, kind, exchange)
  }
  sendError(
    response,
    404,
    new CloudlessError('not_found', `there is nothing at ${path.slice(0, 200)}`),
  )
}

const profileSecondsDefault = 10
const profileSecondsMax = 120

/** Takes as many seconds as `?seconds=` says. */
async function answerProfile(
  profile: NonNullable<HttpPathsDeps['profile']>,
  kind: ProfileKind,
  { request, response, peer }: Parameters<typeof answerPath>[2],
): Promise<void> {
  if (!onlyReading(request, response)) return
  const refusal = refusalUnlessOperator(peer, 'profiles')
  if (refusal !== undefined) return sendError(response, refusal.status, refusal.error)
  const query = new URLSearchParams((request.url ?? '').split('?', 2)[1] ?? '')
  const seconds = Number(query.get('seconds') ?? profileSecondsDefault)
  if (!(seconds > 0 && seconds <= profileSecondsMax)) {
    const message = `seconds: must be above 0 and at most ${profileSecondsMax}`
    return sendError(response, 400, new CloudlessError('invalid_argument', message))
  }
  try {
    const text = await profile(kind, seconds * 1_000)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(text)
  } catch (reason) {
    sendError(response, 409, CloudlessError.from(reason))
  }
}

function refusalUnlessOperator(
  peer: PeerIdentity,
  what: string,
): { readonly status: number; readonly error: CloudlessError } | undefined {
  if (peer.kind === 'member' && !peer.expired) {
    if (peer.type === 'operator') return undefined
    const message = `the ${peer.type} "${peer.id}" may not read ${what}; they are for operators`
    return { status: 403, error: new CloudlessError('permission_denied', message) }
  }
  const message = `${what} need the client certificate of an operator`
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
