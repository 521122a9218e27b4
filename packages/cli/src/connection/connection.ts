/** One connection to the first coordinator that answers, and the clients that call over it. */
import {
  AgentService,
  CoordinatorService,
  coordinatorsHeader,
  correlationIdHeader,
  requestIdHeader,
} from '@cloudless/api'
import { CloudlessError, randomId, type Clock, type Random } from '@cloudless/base'
import { createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect'
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node'
import type { Settings } from '../config/settings.ts'
import { explainConnectFailure } from './explain.ts'
import { tlsOptions } from './tls.ts'

export interface Connection {
  /** The address that answered. */
  readonly address: string
  readonly coordinator: Client<typeof CoordinatorService>
  readonly agent: Client<typeof AgentService>
  close(): void
}

export interface ConnectionDeps {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  /** Sent with every call, so that one invocation can be followed through every log. */
  readonly correlationId: string
  /** Told each call's id before it is sent. */
  readonly onRequest?: (requestId: string) => void
  /** Told where all coordinators are reached, when there are several. */
  readonly onCoordinators?: (addresses: readonly string[]) => void
}

/** How long one address may take for TCP and TLS before the next is tried. */
const connectTimeoutMs = 5_000

/** Throws CloudlessError saying for each address why it could not be used. */
export async function openConnection(
  deps: ConnectionDeps,
  settings: Settings,
): Promise<Connection> {
  const tls = tlsOptions(settings)
  const failures: { address: string; reason: unknown }[] = []
  for (const address of settings.coordinators) {
    const manager = new Http2SessionManager(
      `https://${address}`,
      { pingIntervalMs: 10_000, pingTimeoutMs: 10_000 },
      tls,
    )
    const reason = await dial(deps, manager)
    if (reason === undefined) return connectionOver(deps, settings, address, manager)
    manager.abort()
    if (deps.signal.aborted) throw new CloudlessError('cancelled', 'interrupted')
    failures.push({ address, reason })
  }
  throw explainConnectFailure(failures)
}

/** Undefined when connected, otherwise the reason why not. */
async function dial(deps: ConnectionDeps, manager: Http2SessionManager): Promise<unknown> {
  const { promise: given, resolve: giveUp } = Promise.withResolvers<unknown>()
  const cancel = deps.clock.after(connectTimeoutMs, () =>
    giveUp(new CloudlessError('deadline_exceeded', `no answer within ${connectTimeoutMs} ms`)),
  )
  const onAbort = (): void => giveUp(deps.signal.reason)
  deps.signal.addEventListener('abort', onAbort, { once: true })
  try {
    const state = manager
      .connect()
      .then((reached) => (reached === 'error' ? (manager.error() ?? 'closed') : undefined))
    return await Promise.race([state, given])
  } finally {
    cancel()
    deps.signal.removeEventListener('abort', onAbort)
  }
}

function connectionOver(
  deps: ConnectionDeps,
  settings: Settings,
  address: string,
  manager: Http2SessionManager,
): Connection {
  const transport: Transport = createConnectTransport({
    baseUrl: `https://${address}`,
    httpVersion: '2',
    sessionManager: manager,
    defaultTimeoutMs: settings.requestTimeoutMs,
    interceptors: [withIds(deps)],
  })
  return {
    address,
    coordinator: createClient(CoordinatorService, transport),
    agent: createClient(AgentService, transport),
    close: () => manager.abort(),
  }
}

function withIds(deps: ConnectionDeps): Interceptor {
  return (next) => async (request) => {
    const requestId = `req-${randomId(deps.random, 16)}`
    request.header.set(requestIdHeader, requestId)
    request.header.set(correlationIdHeader, deps.correlationId)
    deps.onRequest?.(requestId)
    const response = await next(request)
    const told = response.header.get(coordinatorsHeader)
    if (told) deps.onCoordinators?.(told.split(','))
    return response
  }
}
