/** The ids of a call on the wire. Ids from outside are taken only when they look like ids: they end up in logs. */
import { randomId, type Random } from '@cloudless/base'
import type { Context } from '../context.ts'

export const requestIdHeader = 'x-request-id'
export const correlationIdHeader = 'x-correlation-id'

const idShape = /^[\w.:-]{1,64}$/

/** The ids a caller sent; new ones where it sent none. */
export function readRequestIds(
  random: Random,
  headers: Headers,
): { readonly requestId: string; readonly correlationId: string } {
  const requestId = readId(headers, requestIdHeader) ?? randomId(random, 16)
  return { requestId, correlationId: readId(headers, correlationIdHeader) ?? requestId }
}

/** A new id for the call, and the correlation it belongs to. Headers that are already there stay. */
export function writeRequestIds(random: Random, headers: Headers, context: Context): void {
  if (!headers.has(requestIdHeader)) headers.set(requestIdHeader, randomId(random, 16))
  const correlationId = context.correlationId ?? headers.get(requestIdHeader)!
  if (!headers.has(correlationIdHeader)) headers.set(correlationIdHeader, correlationId)
}

function readId(headers: Headers, name: string): string | undefined {
  const id = headers.get(name)
  return id !== null && idShape.test(id) ? id : undefined
}
