/**
 * From HTTP requests to handlers and back: gRPC, gRPC-web, Connect and JSON on the same paths.
 *
 * The order a call goes through: ids, right, rate (nothing of its body read yet), the message's size and form, the right
 * to say it, the handler.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import { coordinatorsHeader } from '@cloudless/api'
import type { Clock, Random } from '@cloudless/base'
import { readRequestIds, requestIdHeaders } from '@cloudless/observability'
import {
  Code,
  ConnectError,
  createConnectRouter,
  createContextValues,
  type Interceptor,
  type ServiceImpl,
} from '@connectrpc/connect'
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node'
import { callContextKey, clientNameOf, contextIn, type CallContext } from './call-context.ts'
import { createOutcomeReporter, type CallObserver } from './call-observer.ts'
import type { ClientConnection } from './client-connection.ts'
import type { DirectMethod } from './direct-call.ts'
import { isDirectStream, serveDirectStream } from './direct-stream.ts'
import { isDirectUnary, serveDirectUnary } from './direct-unary.ts'
import { createServerInterceptor } from './interceptors.ts'
import type { RateLimiter } from './rate-limiter.ts'
import { requireRate, requireRight } from './request-gate.ts'
import { explainUnimplemented } from './unimplemented.ts'
import { withParseErrorsExplained } from './parse-errors.ts'

export interface ServedService {
  readonly service: DescService
  readonly implementation: object
}

/** A service with the handlers there are; its other methods answer UNIMPLEMENTED with a sentence. */
export function serve<Service extends DescService>(
  service: Service,
  implementation: Partial<ServiceImpl<Service>>,
): ServedService {
  return { service, implementation }
}

export interface RpcHandlerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly observer: CallObserver
  readonly limiter: RateLimiter
  /** Where coordinators are reached, "host:port". */
  readonly coordinators?: () => readonly string[]
  /** Around our own, the first outermost: for what must surround every handler, such as a logging context. */
  readonly interceptors?: readonly Interceptor[]
}

export interface RpcHandlerOptions {
  readonly services: readonly ServedService[]
  /** The largest message, 4 MiB when not given. */
  readonly messageBytesMax?: number
}

export type HttpRequest = IncomingMessage | Http2ServerRequest
export type HttpResponse = ServerResponse | Http2ServerResponse

/** Serves a request whose path is a method's; false when it is not. */
export type RpcHandler = (
  request: HttpRequest,
  response: HttpResponse,
  connection: ClientConnection,
) => boolean

const messageBytesMaxDefault = 4 * 1024 * 1024
/** Smaller answers are sent as they are: gzip costs more than it saves on a session's messages. */
const compressMinBytes = 16 * 1024
const directKinds = new Set<DescMethod['methodKind']>(['unary', 'bidi_streaming'])

export function createRpcHandler(deps: RpcHandlerDeps, options: RpcHandlerOptions): RpcHandler {
  const handlers = new Map(
    createRouter(deps, options).handlers.map((handler) => [handler.requestPath, handler]),
  )
  const direct = directMethods(deps, options)
  return (request, response, connection) => {
    const path = (request.url ?? '').split('?', 1)[0]!
    const handler = handlers.get(path)
    if (handler === undefined) return false
    const call = startCall(deps, request, connection)
    const controller = new AbortController()
    // Not when the promise below settles: the library's waits for an event that HTTP/2 responses do not have.
    response.once('close', connection.addCall(controller, handler.method))
    const answerHeaders = answerHeadersOf(deps, call)
    const served = direct.get(path)
    if (served !== undefined && 'stream' in response) {
      const { headers: header } = request
      const given = {
        ...{ stream: response.stream, header, answerHeaders },
        call: { ...call, ended: controller.signal },
      }
      const isUnary = handler.method.methodKind === 'unary'
      if (isUnary && isDirectUnary(header)) {
        serveDirectUnary(deps, served, { ...given, ending: controller })
        return true
      }
      if (!isUnary && isDirectStream(header)) {
        serveDirectStream(deps, served, given)
        return true
      }
    }
    for (const [name, text] of Object.entries(answerHeaders)) response.setHeader(name, text)
    const values = createContextValues().set(callContextKey, { ...call, ended: controller.signal })
    const universal = universalRequestFromNodeRequest(request, response, undefined, values)
    for (const [name, id] of Object.entries(requestIdHeaders(call))) universal.header.set(name, id)
    handler(universal)
      .then(withParseErrorsExplained)
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((reason: unknown) => {
        // The caller went away while the answer was written: nobody is left to tell.
        if (ConnectError.from(reason).code !== Code.Aborted) {
          deps.observer.problem?.(`answering ${handler.requestPath} failed`, reason)
        }
        response.destroy()
      })
    return true
  }
}

/** By path: unary calls and streams both ways, unless there are interceptors that must surround them. */
function directMethods(
  deps: RpcHandlerDeps,
  options: RpcHandlerOptions,
): Map<string, DirectMethod> {
  const direct = new Map<string, DirectMethod>()
  if (deps.interceptors !== undefined && deps.interceptors.length > 0) return direct
  for (const { service, implementation } of options.services) {
    for (const method of service.methods) {
      const handler = (implementation as Record<string, DirectMethod['handler']>)[method.localName]
      if (!directKinds.has(method.methodKind) || handler === undefined) continue
      direct.set(`/${service.typeName}/${method.name}`, {
        method,
        handler,
        messageBytesMax: options.messageBytesMax ?? messageBytesMaxDefault,
        compressMinBytes,
      })
    }
  }
  return direct
}

function createRouter(deps: RpcHandlerDeps, options: RpcHandlerOptions) {
  const router = createConnectRouter({
    interceptors: [...(deps.interceptors ?? []), createServerInterceptor(deps)],
    requestGate: (context) => {
      const call = contextIn(context.values)
      try {
        requireRight(call.peer, context.method)
        requireRate(deps.limiter, call.clientName, context.method)
      } catch (reason) {
        throw createOutcomeReporter(deps, context.method, call)(reason)
      }
    },
    readMaxBytes: options.messageBytesMax ?? messageBytesMaxDefault,
    jsonOptions: { ignoreUnknownFields: false },
    acceptCompression: [compressionGzip],
    compressMinBytes,
  })
  for (const { service, implementation } of options.services) {
    const missing = service.methods.filter((method) => !(method.localName in implementation))
    const refusals = missing.map(
      (method) => [method.localName, refusalOf(method, explainUnimplemented)] as const,
    )
    router.service(service, { ...implementation, ...Object.fromEntries(refusals) } as object)
  }
  return router
}

/** A handler that only says why. */
export function refusalOf(
  method: DescMethod,
  why: (method: DescMethod) => Error,
): (...given: unknown[]) => unknown {
  if (method.methodKind === 'unary' || method.methodKind === 'client_streaming') {
    return () => Promise.reject(why(method))
  }
  return () => ({
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(why(method)) }),
  })
}

function answerHeadersOf(
  { coordinators }: RpcHandlerDeps,
  call: Omit<CallContext, 'ended'>,
): Record<string, string> {
  const ids = requestIdHeaders(call)
  const known = call.peer.kind === 'member' ? (coordinators?.() ?? []) : []
  return known.length > 1 ? { ...ids, [coordinatorsHeader]: known.join(',') } : ids
}

function startCall(
  deps: RpcHandlerDeps,
  request: HttpRequest,
  connection: ClientConnection,
): Omit<CallContext, 'ended'> {
  const peer = connection.peerAt(deps.clock.wallMs())
  const ids = readRequestIds(deps.random, (name) => {
    const value = request.headers[name]
    return typeof value === 'string' ? value : undefined
  })
  return {
    peer,
    connection,
    clientName: clientNameOf(peer, connection.remoteAddress),
    ...ids,
  }
}
