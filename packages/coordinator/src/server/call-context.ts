/** What a handler may know about the call it serves: who calls, over which connection, under which ids. */
import type { Random } from '@cloudless/base'
import type { PeerIdentity } from '@cloudless/identity'
import { createContextKey, type ContextValues, type HandlerContext } from '@connectrpc/connect'
import type { ClientConnection } from './client-connection.ts'

export interface CallContext {
  /** As judged when the call began. */
  readonly peer: PeerIdentity
  readonly connection: ClientConnection
  /** Of this call; made by the caller or by us. */
  readonly requestId: string
  /** Of everything that belongs to one action of a person; passed on with every call it leads to. */
  readonly correlationId: string
  /** Such as "operator/admin", "node/node-a" or "address/10.0.0.7". */
  readonly clientName: string
  /** Aborted with a CloudlessError when the call's right ends while it runs. */
  readonly ended: AbortSignal
}

export const requestIdHeader = 'x-request-id'
export const correlationIdHeader = 'x-correlation-id'

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

/** Headers that carry the ids on to another process. */
export function idHeaders(
  call: Pick<CallContext, 'requestId' | 'correlationId'>,
): Record<string, string> {
  return { [requestIdHeader]: call.requestId, [correlationIdHeader]: call.correlationId }
}

export function clientNameOf(peer: PeerIdentity, remoteAddress: string): string {
  return peer.kind === 'member' ? `${peer.type}/${peer.id}` : `address/${remoteAddress}`
}

/** 80 bits from two draws: a draw is a system call, and this is done for every call. */
function newRequestId(random: Random): string {
  const half = (): string => Math.floor(random.next() * 32 ** 8).toString(32)
  return half().padStart(8, '0') + half().padStart(8, '0')
}

const idShape = /^[\w.:-]{1,128}$/

/** The ids in a request's headers, or new ones where they are absent or could not be logged safely. */
export function idsFrom(
  random: Random,
  header: (name: string) => string | undefined,
): { readonly requestId: string; readonly correlationId: string } {
  const given = (name: string): string | undefined => {
    const id = header(name)
    return id !== undefined && idShape.test(id) ? id : undefined
  }
  const requestId = given(requestIdHeader) ?? newRequestId(random)
  return { requestId, correlationId: given(correlationIdHeader) ?? requestId }
}
