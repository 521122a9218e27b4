/** What a handler may know about the call it serves: who calls, over which connection, under which ids. */
import type { PeerIdentity } from '@cloudless/identity'
import type { RequestIds } from '@cloudless/observability'
import { createContextKey, type ContextValues, type HandlerContext } from '@connectrpc/connect'
import type { ClientConnection } from './client-connection.ts'

export interface CallContext extends RequestIds {
  /** As judged when the call began. */
  readonly peer: PeerIdentity
  readonly connection: ClientConnection
  /** Such as "operator/admin", "node/node-a" or "address/10.0.0.7". */
  readonly clientName: string
  /** Aborted with a CloudlessError when the call's right ends while it runs. */
  readonly ended: AbortSignal
}

export const callContextKey = createContextKey<CallContext | undefined>(undefined, {
  description: 'the call being served',
})

/** The context of the call a handler serves. Every call that came through the API server has one. */
export function callContextOf(context: Pick<HandlerContext, 'values'>): CallContext {
  return contextIn(context.values)
}

export function contextIn(values: ContextValues): CallContext {
  const call = values.get(callContextKey)
  if (call === undefined) throw new TypeError('the call did not come through the API server')
  return call
}

export function clientNameOf(peer: PeerIdentity, remoteAddress: string): string {
  return peer.kind === 'member' ? `${peer.type}/${peer.id}` : `address/${remoteAddress}`
}
