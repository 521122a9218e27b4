/** The ids of a call on the wire. Ids from outside are taken only when they look like ids: they end up in logs. */
import { correlationIdHeader, requestIdHeader } from '@cloudless/api'
import type { Random } from '@cloudless/base'

export interface RequestIds {
  readonly requestId: string
  readonly correlationId: string
}

const idShape = /^[\w.:-]{1,128}$/

/** The ids a caller sent; new ones where it sent none. */
export function readRequestIds(
  random: Random,
  header: (name: string) => string | null | undefined,
): RequestIds {
  const given = (name: string): string | undefined => {
    const id = header(name)
    return id && idShape.test(id) ? id : undefined
  }
  const requestId = given(requestIdHeader) ?? newRequestId(random)
  return { requestId, correlationId: given(correlationIdHeader) ?? requestId }
}

/** Headers that carry the ids on to another process, or back. */
export function requestIdHeaders(ids: RequestIds): Record<string, string> {
  return { [requestIdHeader]: ids.requestId, [correlationIdHeader]: ids.correlationId }
}

/** 80 bits from two draws: a draw is a system call, and this is done for every call. */
function newRequestId(random: Random): string {
  const half = (): string => Math.floor(random.next() * 32 ** 8).toString(32)
  return half().padStart(8, '0') + half().padStart(8, '0')
}
