/** Around every call: its ids, its figures, its line in the log. */
import { requestIdHeader, toConnectError } from '@cloudless/api'
import { CloudlessError, type Clock, type Random } from '@cloudless/base'
import { Code, type Interceptor } from '@connectrpc/connect'
import { iterateWithContext, runWithContext, type Context } from '../context.ts'
import type { Logger } from '../logging/logger.ts'
import type { LogLevel } from '../logging/log-level.ts'
import type { GrpcMetrics } from '../metrics/process-metrics.ts'
import { readRequestIds } from './request-ids.ts'

export interface ServerInterceptorDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: GrpcMetrics
}

/** The outermost of a server's interceptors: it counts the status the caller gets, whoever decided it. */
export function createObservingInterceptor(deps: ServerInterceptorDeps): Interceptor {
  return (next) => async (request) => {
    const context = readRequestIds(deps.random, (name) => request.header.get(name))
    const method = `${request.service.typeName}/${request.method.name}`
    const end = observeCall(deps, method, context)
    try {
      const counted = request.stream
        ? { ...request, message: counting(request.message, deps.metrics.messagesReceived, method) }
        : request
      const response = await runWithContext(context, () => next(counted))
      response.header.set(requestIdHeader, context.requestId)
      if (!response.stream) {
        end(undefined)
        return response
      }
      const messages = iterateWithContext(context, response.message)
      const sent = counting(messages, deps.metrics.messagesSent, method)
      return { ...response, message: reportingEnd(sent, end) }
    } catch (reason) {
      end(reason)
      throw reason
    }
  }
}

/** "OK", "NOT_FOUND": gRPC's spelling. */
export function statusNameOf(reason: unknown): string {
  if (reason === undefined) return 'OK'
  const name = Code[toConnectError(reason).code] ?? 'Unknown'
  if (name === 'Canceled') return 'CANCELLED'
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

/** What goes wrong on our side is loud, what callers get wrong is worth a line, what goes well is for debugging. */
function levelOf(status: string): LogLevel {
  if (status === 'OK' || status === 'CANCELLED') return 'debug'
  if (status === 'INTERNAL' || status === 'UNKNOWN' || status === 'DATA_LOSS') return 'error'
  if (status === 'UNAVAILABLE' || status === 'DEADLINE_EXCEEDED') return 'warn'
  return 'info'
}

/** The returned function reports the end, once. */
function observeCall(
  deps: ServerInterceptorDeps,
  method: string,
  context: Context,
): (reason: unknown) => void {
  const startedMs = deps.clock.monotonicMs()
  let ended = false
  return (reason) => {
    if (ended) return
    ended = true
    const durationMs = deps.clock.monotonicMs() - startedMs
    const status = statusNameOf(reason)
    deps.metrics.requests.increment({ method, code: status })
    deps.metrics.durationSeconds.observe({ method }, durationMs / 1_000)
    const fields = { method, status, durationMs: Math.round(durationMs * 10) / 10 }
    const error = reason === undefined ? {} : { error: reason }
    runWithContext(context, () =>
      deps.logger[levelOf(status)]({ ...fields, ...error }, 'call ended'),
    )
  }
}

async function* counting<Message>(
  messages: AsyncIterable<Message>,
  counter: GrpcMetrics['messagesSent'],
  method: string,
): AsyncGenerator<Message> {
  for await (const message of messages) {
    counter.increment({ method })
    yield message
  }
}

async function* reportingEnd<Message>(
  messages: AsyncIterable<Message>,
  end: (reason: unknown) => void,
): AsyncGenerator<Message> {
  try {
    yield* messages
    end(undefined)
  } catch (reason) {
    end(reason)
    throw reason
  } finally {
    // Still open here means that the caller went away, which is how most streams end.
    end(new CloudlessError('cancelled', 'the caller went away'))
  }
}
