/** What a call must pass before a byte of its body is read: the table of rights, then the rate limit. */
import { CloudlessError } from '@cloudless/base'
import { authorizeCall, type CalledMethod, type PeerIdentity } from '@cloudless/identity'
import type { RateLimiter } from './rate-limiter.ts'

/** Throws `unauthenticated` or `permission_denied`. */
export function requireRight(peer: PeerIdentity, method: CalledMethod): void {
  const verdict = authorizeCall(peer, method)
  if (verdict.kind === 'unauthenticated') {
    throw new CloudlessError('unauthenticated', verdict.message)
  }
  if (verdict.kind === 'denied') throw new CloudlessError('permission_denied', verdict.message)
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
