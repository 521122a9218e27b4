/**
 * The cluster's own certificate authority: one ECDSA P-256 key, made at the first start, that signs short-lived
 * certificates for keys made elsewhere. What a request asks for is ignored but its key: the caller decides the names.
 */
import { createPrivateKey, randomBytes, X509Certificate, type webcrypto } from 'node:crypto'
import { assert, CloudlessError, type Clock } from '@cloudless/base'
import { readCaFiles, storeCaFiles, type CaFiles } from './ca-directory.ts'
import { certificateFacts, parseCertificate, type CertificateFacts } from './certificate-facts.ts'
import { createKey, importKeyPair } from './key-and-csr.ts'
import { formatSpiffeId, type SpiffeId } from './spiffe-id.ts'
import { loadX509, signingAlgorithm, type X509Library } from './x509-library.ts'

export interface CertificateAuthorityDeps {
  readonly clock: Clock
}

export interface CertificateAuthorityOptions {
  /** Where its files are; made when absent. */
  readonly directory: string
  /** Such as "cloudless"; every name issued is in it. */
  readonly trustDomain: string
  /** How long a new CA is valid: ten years when not given. */
  readonly lifetimeMs?: number
}

export interface IssueRequest {
  /** PKCS#10, PEM, ECDSA P-256, signed with its own key; its subject and extensions are ignored. */
  readonly csrPem: string
  /** In the CA's trust domain. */
  readonly spiffeId: SpiffeId
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly lifetimeMs: number
  /** For clocks that are behind; an hour when not given, never more than a fifth of the lifetime. */
  readonly backdateMs?: number
}

export interface IssuedCertificate extends CertificateFacts {
  readonly certificatePem: string
}

export interface CertificateAuthority {
  readonly trustDomain: string
  readonly certificatePem: string
  readonly certificate: X509Certificate
  /** SHA-256 of its certificate, lower-case hex. */
  readonly fingerprint: string
  /** Unix milliseconds. */
  readonly expiresAtMs: number
  /** For signing join tokens; never leaves this process. */
  readonly tokenKey: Uint8Array
  /** `invalid_argument` when the request is not a well-signed P-256 one. */
  issue(request: IssueRequest): Promise<IssuedCertificate>
}

const caLifetimeMs = 10 * 365 * 86_400_000
const caBackdateMs = 86_400_000
const backdateMsDefault = 3_600_000
const backdateFractionMax = 0.2
const csrBytesMax = 16_384

/** Opens the CA in the directory, making one when there is none. `corrupt_data` when what is there cannot be used. */
export async function openCertificateAuthority(
  deps: CertificateAuthorityDeps,
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  const files =
    readCaFiles(options.directory) ??
    storeCaFiles(options.directory, await createCa(deps.clock, options))
  const keys = await importKeyPair(files.keyPem)
  const certificate = parseCertificate(files.certificatePem, `ca.crt in ${options.directory}`)
  if (!certificate.checkPrivateKey(createPrivateKey(files.keyPem))) {
    throw new CloudlessError(
      'corrupt_data',
      `ca.key and ca.crt in ${options.directory} do not belong together: restore both from one backup`,
    )
  }
  const facts = certificateFacts(certificate)
  return {
    trustDomain: options.trustDomain,
    certificatePem: files.certificatePem,
    certificate,
    fingerprint: facts.fingerprint,
    expiresAtMs: facts.notAfterMs,
    tokenKey: Buffer.from(files.tokenKey, 'base64url'),
    issue: (request) =>
      issueCertificate(request, {
        signingKey: keys.privateKey,
        caKey: keys.publicKey,
        subject: caSubject,
        trustDomain: options.trustDomain,
        nowMs: deps.clock.wallMs(),
        caNotBeforeMs: facts.notBeforeMs,
        caNotAfterMs: facts.notAfterMs,
      }),
  }
}

const caSubject = 'CN=Cloudless CA,O=Cloudless'

async function createCa(clock: Clock, options: CertificateAuthorityOptions): Promise<CaFiles> {
  const x509 = await loadX509()
  const keyPem = await createKey()
  const keys = await importKeyPair(keyPem)
  const nowMs = clock.wallMs()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: caSubject,
    notBefore: new Date(nowMs - caBackdateMs),
    notAfter: new Date(nowMs + (options.lifetimeMs ?? caLifetimeMs)),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    keyPem,
    certificatePem: `${certificate.toString('pem')}\n`,
    tokenKey: randomBytes(32).toString('base64url'),
  }
}

interface Issuer {
  readonly signingKey: webcrypto.CryptoKey
  readonly caKey: webcrypto.CryptoKey
  readonly subject: string
  readonly trustDomain: string
  readonly nowMs: number
  readonly caNotBeforeMs: number
  readonly caNotAfterMs: number
}

async function issueCertificate(request: IssueRequest, issuer: Issuer): Promise<IssuedCertificate> {
  assert(request.spiffeId.trustDomain === issuer.trustDomain, 'a name of another trust domain')
  assert(request.lifetimeMs > 0, 'a certificate lives for some time')
  if (issuer.nowMs >= issuer.caNotAfterMs) {
    throw new CloudlessError(
      'failed_precondition',
      `the cluster's CA ran out at ${new Date(issuer.caNotAfterMs).toISOString()}: ` +
        'check the clock of the coordinator',
    )
  }
  const x509 = await loadX509()
  const publicKey = await checkedKeyOf(x509, request.csrPem)
  const backdateMs = Math.min(
    request.backdateMs ?? backdateMsDefault,
    request.lifetimeMs * backdateFractionMax,
  )
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [request.spiffeId.id.slice(0, 64)] }, { O: ['Cloudless'] }],
    issuer: issuer.subject,
    notBefore: new Date(Math.max(issuer.nowMs - backdateMs, issuer.caNotBeforeMs)),
    notAfter: new Date(Math.min(issuer.nowMs + request.lifetimeMs, issuer.caNotAfterMs)),
    signingAlgorithm,
    publicKey,
    signingKey: issuer.signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([serverAuthOid, clientAuthOid]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: formatSpiffeId(request.spiffeId) },
        ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
        ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.caKey),
    ],
  })
  const certificatePem = `${certificate.toString('pem')}\n`
  return { certificatePem, ...certificateFacts(new X509Certificate(certificatePem)) }
}

const serverAuthOid = '1.3.6.1.5.5.7.3.1'
const clientAuthOid = '1.3.6.1.5.5.7.3.2'

/** The key of a request, once it has proven that the sender holds its private half. */
async function checkedKeyOf(x509: X509Library, csrPem: string): Promise<webcrypto.CryptoKey> {
  const refuse = (problem: string, cause?: unknown): CloudlessError =>
    new CloudlessError('invalid_argument', `csr_pem: ${problem}`, { cause })
  if (csrPem.length > csrBytesMax) throw refuse(`is longer than ${csrBytesMax} bytes`)
  let verified = false
  let publicKey: webcrypto.CryptoKey
  try {
    const csr = new x509.Pkcs10CertificateRequest(csrPem)
    // Fails for every key that is not on P-256: the algorithm is given here, not taken from the request.
    publicKey = await crypto.subtle.importKey(
      'spki',
      csr.publicKey.rawData,
      signingAlgorithm,
      true,
      ['verify'],
    )
    verified = await csr.verify()
  } catch (reason) {
    throw refuse('is not a PKCS#10 request for an ECDSA P-256 key in PEM', reason)
  }
  if (!verified) throw refuse('is not signed with its own key')
  return publicKey
}

/** 127 random bits, positive: never the same twice. */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.toString('hex')
}
