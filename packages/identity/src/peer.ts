/**
 * Who is at the other end of a TLS connection, judged from its certificate by us and not by the TLS library, which
 * cannot tell a member whose certificate ran out from a stranger. The library has already checked that the peer holds
 * the certificate's key.
 */
import type { TLSSocket } from 'node:tls'
import type { X509Certificate } from 'node:crypto'
import type { IdentityType } from './spiffe-id.ts'
import { checkAncestry, type TrustAnchor } from './trust-anchor.ts'

export interface MemberIdentity {
  readonly kind: 'member'
  readonly type: IdentityType
  readonly id: string
  /** Of its certificate, lower-case hex. */
  readonly serial: string
  /** Unix milliseconds. */
  readonly notAfterMs: number
  /** At the time given to identifyPeer. */
  readonly expired: boolean
  /** SHA-256 of its public key (SPKI), lower-case hex. */
  readonly publicKeyFingerprint: string
}

export type PeerIdentity =
  | { readonly kind: 'anonymous' }
  /** One sentence without its full stop says why. */
  | { readonly kind: 'foreign'; readonly reason: string; readonly problem?: 'removed' | 'revoked' }
  | MemberIdentity

export function identifyPeer(
  socket: Pick<TLSSocket, 'getPeerX509Certificate'>,
  anchor: TrustAnchor,
  nowMs: number,
): PeerIdentity {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return { kind: 'anonymous' }
  return identifyCertificate(certificate, anchor, nowMs)
}

/** The same for a certificate at hand. */
export function identifyCertificate(
  certificate: X509Certificate,
  anchor: TrustAnchor,
  nowMs: number,
): PeerIdentity {
  const ancestry = checkAncestry(certificate, anchor)
  if (ancestry.kind === 'foreign') return ancestry
  const { facts } = ancestry
  if (nowMs < facts.notBeforeMs) {
    const from = new Date(facts.notBeforeMs).toISOString()
    return {
      kind: 'foreign',
      reason: `the certificate is not valid before ${from}: check the clocks of both machines`,
    }
  }
  return {
    kind: 'member',
    type: facts.spiffeId.type,
    id: facts.spiffeId.id,
    serial: facts.serial,
    notAfterMs: facts.notAfterMs,
    expired: nowMs >= facts.notAfterMs,
    publicKeyFingerprint: facts.publicKeyFingerprint,
  }
}
