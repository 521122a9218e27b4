/** /healthz, /readyz and /metrics over plain HTTP, where the operator has configured an address for them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { assert, CloudlessError, parseAddress, systemCodeOf } from '@cloudless/base'

export interface EndpointSources {
  /** Undefined: ready; otherwise why not. */
  readonly notReady: () => string | undefined
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
}

export type EndpointName = 'health' | 'metrics'

/** Answers what it knows, and says whether it did. */
export async function answerEndpoint(
  path: string,
  names: readonly EndpointName[],
  sources: EndpointSources,
): Promise<{ status: number; contentType: string; body: string }> {
  const json = (status: number, value: object) => ({
    status,
    contentType: 'application/json',
    body: `${JSON.stringify(value)}\n`,
  })
  if (names.includes('health') && (path === '/healthz' || path === '/health')) {
    return json(200, { status: 'ok' })
  }
  if (names.includes('health') && (path === '/readyz' || path === '/ready')) {
    const reason = sources.notReady()
    return reason === undefined ? json(200, { status: 'ready' }) : json(503, { status: reason })
  }
  if (names.includes('metrics') && path === '/metrics') {
    const { contentType, body } = await sources.metrics()
    return { status: 200, contentType, body }
  }
  return json(404, { error: `there is nothing at ${path}` })
}

/** Rejects with `failed_precondition` when the address is taken. */
export async function listenForEndpoints(
  address: string,
  names: readonly EndpointName[],
  sources: EndpointSources,
): Promise<Server> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '/').split('?')[0]!
    const { status, contentType, body } = await answerEndpoint(path, names, sources)
    response.writeHead(status, { 'Content-Type': contentType }).end(body)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((reason: unknown) => {
      response.writeHead(500).end(`${CloudlessError.from(reason).message}\n`)
    })
  })
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.maxConnections = 64
  await listenOn(server, address)
  return server
}

export function listenOn(server: Server, address: string): Promise<void> {
  const parsed = parseAddress(address)
  assert(parsed, `the settings let "${address}" pass as an address`)
  const { host, port } = parsed
  return new Promise((resolve, reject) => {
    server.once('error', (reason) => {
      const taken = systemCodeOf(reason) === 'EADDRINUSE'
      const said = taken ? 'the port is taken by another process' : reason.message
      const message = `cannot listen on ${address}: ${said}`
      reject(new CloudlessError('failed_precondition', message, { cause: reason }))
    })
    server.listen({ host, port }, () => resolve())
  })
}
