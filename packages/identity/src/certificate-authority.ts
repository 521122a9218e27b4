/**
 * The cluster's own certificate authority: one ECDSA P-256 key, made at the first start, that signs short-lived
 * certificates for keys made elsewhere. What a request asks for is ignored but its key: the caller decides the names.
 */
import {
  createPrivateKey,
  createPublicKey,
  randomBytes,
  verify,
  type KeyObject,
  type X509Certificate,
} from 'node:crypto'
import { assert, CloudlessError, type Clock } from '@cloudless/base'
import { readCaFiles, storeCaFiles, type CaFiles } from './ca-directory.ts'
import { encodeCertificate, type Signer } from './certificate-encoding.ts'
import {
  certificateFacts,
  parseCertificate,
  sha256,
  type CertificateFacts,
} from './certificate-facts.ts'
import { elementsOf } from './der.ts'
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
  await importKeyPair(files.keyPem) // Refuses what is no key of ours.
  const key = createPrivateKey(files.keyPem)
  const certificate = parseCertificate(files.certificatePem, `ca.crt in ${options.directory}`)
  if (!certificate.checkPrivateKey(key)) {
    throw new CloudlessError(
      'corrupt_data',
      `ca.key and ca.crt in ${options.directory} do not belong together: restore both from one backup`,
    )
  }
  const facts = certificateFacts(certificate)
  const signer = await signerOf(files.certificatePem, key)
  return {
    trustDomain: options.trustDomain,
    certificatePem: files.certificatePem,
    certificate,
    fingerprint: facts.fingerprint,
    expiresAtMs: facts.notAfterMs,
    tokenKey: Buffer.from(files.tokenKey, 'base64url'),
    issue: (request) =>
      issueCertificate(request, {
        signer,
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
    serialNumber: newSerial().toString('hex'),
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

async function signerOf(certificatePem: string, key: KeyObject): Promise<Signer> {
  const x509 = await loadX509()
  const certificate = new x509.X509Certificate(certificatePem)
  const identifier = certificate.getExtension(x509.SubjectKeyIdentifierExtension)
  assert(identifier !== null, 'the certificate of a CA names its key')
  return {
    key,
    name: new Uint8Array(certificate.subjectName.toArrayBuffer()),
    keyIdentifier: Buffer.from(identifier.keyId, 'hex'),
  }
}

interface Issuer {
  readonly signer: Signer
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
  const publicKey = checkedKeyOf(x509, request.csrPem)
  const backdateMs = Math.min(
    request.backdateMs ?? backdateMsDefault,
    request.lifetimeMs * backdateFractionMax,
  )
  const serial = newSerial()
  const notBeforeMs = wholeSeconds(Math.max(issuer.nowMs - backdateMs, issuer.caNotBeforeMs))
  const notAfterMs = wholeSeconds(Math.min(issuer.nowMs + request.lifetimeMs, issuer.caNotAfterMs))
  const der = encodeCertificate(
    {
      ...{ serial, notBeforeMs, notAfterMs, publicKey },
      commonName: request.spiffeId.id.slice(0, commonNameMax),
      uri: formatSpiffeId(request.spiffeId),
      dnsNames: request.dnsNames ?? [],
      ipAddresses: request.ipAddresses ?? [],
    },
    issuer.signer,
  )
  return {
    certificatePem: pemOf(der),
    spiffeId: request.spiffeId,
    serial: serial.toString('hex'),
    ...{ notBeforeMs, notAfterMs },
    fingerprint: sha256(der),
    publicKeyFingerprint: sha256(publicKey),
  }
}

/** Of a name (RFC 5280, appendix A.1). */
const commonNameMax = 64

/** As a certificate can say it. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000
}

function pemOf(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replaceAll(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

/** The key of a request (SPKI, DER), once it has proven that the sender holds its private half. */
function checkedKeyOf(x509: X509Library, csrPem: string): Uint8Array {
  const refuse = (problem: string, cause?: unknown): CloudlessError =>
    new CloudlessError('invalid_argument', `csr_pem: ${problem}`, { cause })
  if (csrPem.length > csrBytesMax) throw refuse(`is longer than ${csrBytesMax} bytes`)
  let isVerified: boolean
  let spki: Uint8Array
  try {
    const csr = new x509.Pkcs10CertificateRequest(csrPem)
    // CertificationRequest: what is signed, how, and the signature; of the first, the third is the key (RFC 2986, 4).
    const [signed] = elementsOf(new Uint8Array(csr.rawData))
    const [, , key] = elementsOf(signed!)
    const publicKey = createPublicKey({ key: Buffer.from(key!), format: 'der', type: 'spki' })
    const { namedCurve } = publicKey.asymmetricKeyDetails ?? {}
    if (namedCurve !== 'prime256v1') throw new TypeError(`a key on the curve ${namedCurve}`)
    // However the request wrote it down: certificates name it by these bytes.
    spki = isCanonical(key!) ? key! : publicKey.export({ format: 'der', type: 'spki' })
    const { hash } = csr.signatureAlgorithm
    isVerified = verify(hash.name, signed!, publicKey, Buffer.from(csr.signature))
  } catch (reason) {
    throw refuse('is not a PKCS#10 request for an ECDSA P-256 key in PEM', reason)
  }
  if (!isVerified) throw refuse('is not signed with its own key')
  return spki
}

/** What comes before the two coordinates of a P-256 key in its SubjectPublicKeyInfo, as everybody writes it. */
const canonicalPrefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
const canonicalBytes = canonicalPrefix.byteLength + 64

function isCanonical(spki: Uint8Array): boolean {
  const prefix = spki.subarray(0, canonicalPrefix.byteLength)
  return spki.byteLength === canonicalBytes && canonicalPrefix.equals(prefix)
}

/** 127 random bits, positive: never the same twice. */
function newSerial(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}
