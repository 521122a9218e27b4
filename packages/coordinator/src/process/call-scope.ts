/** Runs every handler with the ids and the actor of its call as the current context, for logs and events. */
import { iterateWithContext, runWithContext, type Context } from '@cloudless/observability'
import type { HandlerContext } from '@connectrpc/connect'
import { callContextOf } from '../server/call-context.ts'
import type { ServedService } from '../server/rpc-handler.ts'
import { actorOf } from './actor.ts'

type Handler = (request: unknown, context: HandlerContext) => unknown

export function withCallScope(served: ServedService): ServedService {
  const handlers = Object.entries(served.implementation as Record<string, Handler>)
  const implementation = Object.fromEntries(
    handlers.map(([name, handler]) => [name, scoped(handler)]),
  )
  return { service: served.service, implementation }
}

function scoped(handler: Handler): Handler {
  return (request, handlerContext) => {
    const context = contextOf(handlerContext)
    const answer = runWithContext(context, () => handler(request, handlerContext))
    return isStream(answer) ? iterateWithContext(context, answer) : answer
  }
}

function contextOf(handlerContext: HandlerContext): Context {
  const call = callContextOf(handlerContext)
  return {
    requestId: call.requestId,
    correlationId: call.correlationId,
    actor: actorOf(call.clientName),
  }
}

function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer
}
