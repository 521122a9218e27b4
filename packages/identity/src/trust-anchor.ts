/** The CA that a side of a connection trusts, and who, of those it has certified, it expects. */
import type { X509Certificate } from 'node:crypto'
import { certificateFacts, parseCertificate, type CertificateFacts } from './certificate-facts.ts'

export interface TrustAnchor {
  readonly certificate: X509Certificate
  readonly trustDomain: string
}

export function createTrustAnchor(caPem: string, trustDomain: string): TrustAnchor {
  return { certificate: parseCertificate(caPem, 'the CA certificate'), trustDomain }
}

/** Signed by the anchor and an end entity of its trust domain, whatever the time; or why not. */
export type Ancestry =
  | { readonly kind: 'ours'; readonly facts: CertificateFacts & { spiffeId: NamedIdentity } }
  | { readonly kind: 'foreign'; readonly reason: string }

type NamedIdentity = NonNullable<CertificateFacts['spiffeId']>

export function checkAncestry(certificate: X509Certificate, anchor: TrustAnchor): Ancestry {
  const foreign = (reason: string): Ancestry => ({ kind: 'foreign', reason })
  const ca = anchor.certificate
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) {
    return foreign("the certificate was not issued by this cluster's CA")
  }
  if (certificate.ca) return foreign('the certificate is a CA, not a member')
  const facts = certificateFacts(certificate)
  const { spiffeId } = facts
  if (spiffeId === undefined) return foreign('the certificate names no identity')
  if (spiffeId.trustDomain !== anchor.trustDomain) {
    return foreign(`the certificate is of the trust domain "${spiffeId.trustDomain}"`)
  }
  return { kind: 'ours', facts: { ...facts, spiffeId } }
}
