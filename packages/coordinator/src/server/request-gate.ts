/** What a call must pass before a byte of its body is read: the table of rights, then the rate limit. */
import { CloudlessError } from '@cloudless/base'
import {
  authorizeCall,
  authorizeMessage,
  type AccessVerdict,
  type CalledMethod,
  type PeerIdentity,
} from '@cloudless/identity'
import type { RateLimiter } from './rate-limiter.ts'

/** Throws `unauthenticated` (details.reason: what is wrong with the certificate) or `permission_denied`. */
export function requireRight(peer: PeerIdentity, method: CalledMethod): void {
  const refusal = refusalFor(authorizeCall(peer, method))
  if (refusal !== undefined) throw refusal
}

/** Throws when a message says what its sender, who is `peer` now, may not say. */
export function requireOwnVoice(
  peer: PeerIdentity,
  method: Parameters<typeof authorizeMessage>[1],
  message: unknown,
): void {
  const refusal = refusalFor(authorizeMessage(peer, method, message))
  if (refusal !== undefined) throw refusal
}

/** The error for a verdict that is not "allowed". */
export function refusalFor(verdict: AccessVerdict): CloudlessError | undefined {
  if (verdict.kind === 'allowed') return undefined
  if (verdict.kind === 'denied') return new CloudlessError('permission_denied', verdict.message)
  return new CloudlessError('unauthenticated', verdict.message, {
    details: { reason: verdict.problem },
  })
}

/** Throws `resource_exhausted` with details.retryAfterMs. */
export function requireRate(limiter: RateLimiter, clientName: string, method: CalledMethod): void {
  if (isExempt(method)) return
  const retryAfterMs = limiter.take(clientName)
  if (retryAfterMs === 0) return
  throw new CloudlessError(
    'resource_exhausted',
    `${clientName} sends more requests than it may; try again in ${retryAfterMs} ms`,
    { details: { retryAfterMs } },
  )
}

/** Sessions and watches are one long call each; health checks must always get through. */
function isExempt(method: CalledMethod): boolean {
  return (
    method.localName === 'session' ||
    method.localName.startsWith('watch') ||
    method.parent.typeName === 'grpc.health.v1.Health'
  )
}
