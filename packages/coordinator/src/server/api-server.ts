/**
 * The coordinator's front door: one TLS port for every protocol and for the agents' reversed connections, and a plain
 * one for health checks. It knows nothing of nodes and workloads; handlers and facts are handed in.
 */
import { createServer, type Server } from 'node:http'
import { CloudlessError, sleep, type Clock, type Random } from '@cloudless/base'
import type { CertificateAuthority } from '@cloudless/identity'
import type { Interceptor } from '@connectrpc/connect'
import type { AgentGateway } from './agent-gateway.ts'
import type { CallObserver } from './call-observer.ts'
import type { ClientConnection, MembershipChecks } from './client-connection.ts'
import { ConnectionTable } from './connection-table.ts'
import { createHealthService } from './health.ts'
import { answerPath, type HttpPathsDeps, type Readiness } from './http-paths.ts'
import { listen, type BoundAddress, type ListenAddress } from './listen.ts'
import { RateLimiter, type RateLimitOptions } from './rate-limiter.ts'
import { callerBehind } from './on-behalf.ts'
import { createReflectionServices } from './reflection.ts'
import {
  createRpcHandler,
  type HttpRequest,
  type HttpResponse,
  type RpcHandler,
  type ServedService,
} from './rpc-handler.ts'
import { keepServerCertificate } from './server-certificate.ts'
import { startTlsListener, type TlsListener } from './tls-listener.ts'

export interface ApiServerDeps extends MembershipChecks {
  readonly clock: Clock
  readonly random: Random
  readonly ca: CertificateAuthority
  readonly gateway: AgentGateway
  /** Learns of every call, refused ones too. */
  readonly observer: CallObserver
  /** Around every handler, the first outermost. They find the call's ids in its headers. */
  readonly interceptors?: readonly Interceptor[]
  readonly readiness: () => Readiness
  readonly metrics?: NonNullable<HttpPathsDeps['metrics']>
  /** To operators, on the API port only. */
  readonly profile?: NonNullable<HttpPathsDeps['profile']>
  /**
   * Asked first for every request: true when the call is taken over, to be sent on or served later by `serveHere`, which
   * then serves it as any other.
   */
  readonly forward?: (call: ForwardableCall) => boolean
  /** Where coordinators are reached, told to members when they are several. */
  readonly coordinators?: () => readonly string[]
  /** Each made by `serve(Service, handlers)`. Methods without a handler answer UNIMPLEMENTED. */
  readonly services: readonly ServedService[]
}

export interface ForwardableCall {
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly connection: ClientConnection
  readonly serveHere: () => void
}

export interface ApiServerOptions {
  /** Of this coordinator: the id in its certificate. */
  readonly coordinatorId: string
  /** For the API; at least one. */
  readonly addresses: readonly ListenAddress[]
  /** Plain HTTP for /healthz and /readyz; none when not given. Loopback unless the operator says otherwise. */
  readonly healthAddress?: ListenAddress
  /** Plain HTTP for /metrics, open to all who reach it; none when not given. */
  readonly metricsAddress?: ListenAddress
  /** More names for the server's certificate. */
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** Of the server's own certificate; 30 days when not given. */
  readonly certificateLifetimeMs?: number
  readonly rateLimit?: RateLimitOptions
  /** Open connections of one address, 20,000 when not given, and those of strangers among them, 1,000. */
  readonly connectionsMax?: number
  readonly strangersMax?: number
  /** How long running calls may take to end in `close`; 5,000 when not given. */
  readonly shutdownGraceMs?: number
}

export interface ApiServer {
  readonly addresses: readonly BoundAddress[]
  readonly healthAddress: BoundAddress | undefined
  readonly metricsAddress: BoundAddress | undefined
  readonly connectionCount: () => number
  /** Calls that come from now on are served by these; what runs ends as it began. */
  replaceServices(services: readonly ServedService[]): void
  /** Ends every running call that is not of health checks. */
  endCalls(reason: CloudlessError): void
  /** Cuts every connection of a node, the reversed one too. */
  closeConnectionsOf(nodeId: string): void
  /** Takes no more connections, ends the calls, then cuts what is left. */
  close(): Promise<void>
}

const shutdownGraceMsDefault = 5_000

/** `failed_precondition` when a port is taken; whatever was opened is closed again. */
export async function startApiServer(
  deps: ApiServerDeps,
  options: ApiServerOptions,
): Promise<ApiServer> {
  const connections = new ConnectionTable(deps.clock)
  const limiter = new RateLimiter(deps.clock, options.rateLimit)
  const handlerOf = (services: readonly ServedService[]): RpcHandler =>
    createRpcHandler({ ...deps, limiter }, { services: allServices({ ...deps, services }) })
  let current = handlerOf(deps.services)
  const handleRpc: RpcHandler = (...call) => current(...call)
  let listener: TlsListener | undefined
  const certificate = await keepServerCertificate(
    {
      ...deps,
      renewed: (credentials) => listener?.replaceCredentials(credentials),
      problem: (message, reason) => deps.observer.problem?.(message, reason),
    },
    options,
  )
  const plain: Server[] = []
  const closeDoors = (): void => {
    certificate.stop()
    listener?.close()
    for (const server of plain) server.close().closeAllConnections()
  }
  try {
    listener = await openTlsPort(deps, options, { connections, handleRpc, certificate })
    const healthAddress = await openPlainPort(deps, plain, options.healthAddress, 'health checks')
    const metricsAddress = await openPlainPort(deps, plain, options.metricsAddress, 'metrics')
    return {
      addresses: listener.addresses,
      healthAddress,
      metricsAddress,
      connectionCount: () => connections.size,
      replaceServices: (services) => {
        current = handlerOf(services)
      },
      endCalls: (reason) => connections.endCalls(reason),
      closeConnectionsOf: (nodeId) => {
        connections.closeConnectionsOf(nodeId)
        deps.gateway.disconnect(nodeId)
      },
      close: async () => {
        closeDoors()
        connections.refuseCalls(
          new CloudlessError('unavailable', 'the coordinator is shutting down: try again soon'),
        )
        await settle(deps.clock, connections, options.shutdownGraceMs ?? shutdownGraceMsDefault)
        deps.gateway.close()
        connections.close()
      },
    }
  } catch (reason) {
    closeDoors()
    connections.close()
    throw reason
  }
}

function allServices(deps: ApiServerDeps): ServedService[] {
  const described = deps.services.map(({ service }) => service)
  const health = createHealthService(
    deps,
    described.map(({ typeName }) => typeName),
  )
  const reflection = createReflectionServices([...described, health.service])
  return [...deps.services, health, ...reflection]
}

function openTlsPort(
  deps: ApiServerDeps,
  options: ApiServerOptions,
  parts: {
    readonly connections: ConnectionTable
    readonly handleRpc: RpcHandler
    readonly certificate: Awaited<ReturnType<typeof keepServerCertificate>>
  },
): Promise<TlsListener> {
  return startTlsListener(
    {
      clock: deps.clock,
      anchor: deps.ca,
      checks: deps,
      connections: parts.connections,
      onAgent: (nodeId, socket) => deps.gateway.accept(nodeId, socket),
      onRequest: (request, response, socketOwner) => {
        const connection = callerOf(deps, parts.connections, { request, response, socketOwner })
        const serveHere = (): void => {
          if (parts.handleRpc(request, response, connection)) return
          const peer = connection.peerAt(deps.clock.wallMs())
          answerPath(deps, { openMetrics: false }, { request, response, peer }).catch((reason) => {
            deps.observer.problem?.(`answering ${request.url} failed`, reason)
            response.destroy()
          })
        }
        if (!deps.forward?.({ request, response, connection, serveHere })) serveHere()
      },
    },
    { ...options, credentials: parts.certificate.first },
  )
}

/** Who is at the other end of the socket, or whom that asks for. */
function callerOf(
  deps: ApiServerDeps,
  connections: ConnectionTable,
  {
    request,
    response,
    socketOwner,
  }: {
    readonly request: HttpRequest
    readonly response: HttpResponse
    readonly socketOwner: ClientConnection
  },
): ClientConnection {
  const given = { connection: socketOwner, checks: deps, nowMs: deps.clock.wallMs() }
  const behind = callerBehind(request, response, given)
  if (behind === undefined) return socketOwner
  connections.add(behind)
  return behind
}

/** Health on both plain ports; metrics only on the one the operator has opened for them. */
async function openPlainPort(
  deps: ApiServerDeps,
  plain: Server[],
  address: ListenAddress | undefined,
  purpose: 'health checks' | 'metrics',
): Promise<BoundAddress | undefined> {
  if (address === undefined) return undefined
  const openMetrics = purpose === 'metrics'
  const { readiness, metrics } = deps
  const paths = openMetrics && metrics !== undefined ? { readiness, metrics } : { readiness }
  const server = createServer((request, response) => {
    const peer = { kind: 'anonymous' } as const
    answerPath(paths, { openMetrics }, { request, response, peer }).catch((reason) => {
      deps.observer.problem?.(`answering ${request.url} failed`, reason)
      response.destroy()
    })
  })
  plain.push(server)
  return listen(server, address, purpose)
}

const settleCheckMs = 20

/** Waits until no call runs, or the grace has passed. */
async function settle(clock: Clock, connections: ConnectionTable, graceMs: number): Promise<void> {
  const endMs = clock.monotonicMs() + graceMs
  while (connections.callCount > 0 && clock.monotonicMs() < endMs) await sleep(clock, settleCheckMs)
}
