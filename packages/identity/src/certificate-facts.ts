/** What a certificate says, read with node:crypto alone: the client side of TLS needs no X.509 library. */
import { createHash, X509Certificate, type KeyObject } from 'node:crypto'
import { CloudlessError } from '@cloudless/base'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts'

export interface CertificateFacts {
  /** Undefined when it does not name exactly one of our identities. */
  readonly spiffeId: SpiffeId | undefined
  /** Lower-case hex. */
  readonly serial: string
  /** Unix milliseconds. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Of the certificate's DER: SHA-256, lower-case hex. */
  readonly fingerprint: string
  /** Of the public key's SPKI DER: SHA-256, lower-case hex. Stays when a certificate is renewed with its key. */
  readonly publicKeyFingerprint: string
}

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  return {
    spiffeId: spiffeIdOf(certificate),
    serial: certificate.serialNumber.toLowerCase(),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    fingerprint: fingerprintOf(certificate),
    publicKeyFingerprint: publicKeyFingerprintOf(certificate.publicKey),
  }
}

/** The first certificate in a PEM text. `corrupt_data` when there is none; `what` names it in the message. */
export function parseCertificate(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (reason) {
    throw new CloudlessError('corrupt_data', `${what} is not a PEM certificate`, { cause: reason })
  }
}

/** SHA-256 of the certificate's DER, lower-case hex: how a join token names the CA. */
export function fingerprintOf(certificate: X509Certificate): string {
  return sha256(certificate.raw)
}

export function publicKeyFingerprintOf(publicKey: KeyObject): string {
  return sha256(publicKey.export({ type: 'spki', format: 'der' }))
}

/** Lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * The identity in a certificate: its only URI SAN. Node quotes names that hold separators, so that a name cannot
 * pretend to be two; a quoted one is never ours.
 */
export function spiffeIdOf(certificate: X509Certificate): SpiffeId | undefined {
  const names = (certificate.subjectAltName ?? '').split(', ')
  const uris = names.filter((name) => name.startsWith('URI:'))
  const [uri] = uris
  return uri === undefined || uris.length > 1 ? undefined : parseSpiffeId(uri.slice('URI:'.length))
}
