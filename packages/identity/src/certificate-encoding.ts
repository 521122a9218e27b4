/**
 * The one kind of certificate that we issue, written down: X.509 version 3 (RFC 5280) for a TLS client and server with an
 * ECDSA P-256 key, signed by another such.
 *
 * A library could write it. With one, an issue took 5.5 ms of a core instead of 0.6 ms, which a thousand devices that join
 * at once wait for.
 */
import { sign, type KeyObject } from 'node:crypto'
import { isIPv4 } from 'node:net'
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  time,
  utf8String,
} from './der.ts'

export interface LeafCertificate {
  /** Big-endian; positive. */
  readonly serial: Uint8Array
  readonly commonName: string
  /** Whole seconds count. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  readonly uri: string
  readonly dnsNames: readonly string[]
  /** IPv4 or IPv6, as text. */
  readonly ipAddresses: readonly string[]
}

export interface Signer {
  /** The subject of its own certificate, DER. */
  readonly name: Uint8Array
  readonly key: KeyObject
  /** As its own certificate has it. */
  readonly keyIdentifier: Uint8Array
}

const organization = 'Cloudless'

const oids = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organizationName: '2.5.4.10',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/** Tags of GeneralName. */
const dnsName = 2
const uniformResourceIdentifier = 6
const ipAddress = 7

const signatureAlgorithm = sequence(objectIdentifier(oids.ecdsaWithSha256))
const version3 = explicit(0, integer(Buffer.of(2)))
const subjectOrganization = attribute(oids.organizationName, organization)
const isNoCa = extension(oids.basicConstraints, sequence(), { critical: true })
/** digitalSignature is the first of its bits. */
const signsOnly = extension(oids.keyUsage, bitString(Buffer.of(0x80), 7), { critical: true })
const forBothSidesOfTls = extension(
  oids.extendedKeyUsage,
  sequence(objectIdentifier(oids.serverAuth), objectIdentifier(oids.clientAuth)),
)

/** DER. */
export function encodeCertificate(leaf: LeafCertificate, signer: Signer): Uint8Array {
  const { serial, commonName, notBeforeMs, notAfterMs, publicKey } = leaf
  const toBeSigned = sequence(
    version3,
    integer(serial),
    signatureAlgorithm,
    signer.name,
    sequence(time(notBeforeMs), time(notAfterMs)),
    sequence(attribute(oids.commonName, commonName), subjectOrganization),
    publicKey,
    explicit(
      3,
      sequence(
        isNoCa,
        signsOnly,
        forBothSidesOfTls,
        extension(oids.subjectAltName, sequence(...subjectNames(leaf))),
        extension(oids.authorityKeyIdentifier, sequence(implicit(0, signer.keyIdentifier))),
      ),
    ),
  )
  const signature = sign('sha256', toBeSigned, signer.key)
  return sequence(toBeSigned, signatureAlgorithm, bitString(signature))
}

function subjectNames({ uri, dnsNames, ipAddresses }: LeafCertificate): Uint8Array[] {
  return [
    implicit(uniformResourceIdentifier, Buffer.from(uri, 'latin1')),
    ...dnsNames.map((name) => implicit(dnsName, Buffer.from(name, 'latin1'))),
    ...ipAddresses.map((address) => implicit(ipAddress, bytesOfAddress(address))),
  ]
}

function attribute(oid: string, value: string): Uint8Array {
  return setOf(sequence(objectIdentifier(oid), utf8String(value)))
}

function extension(oid: string, value: Uint8Array, { critical = false } = {}): Uint8Array {
  const flag = critical ? [boolean(true)] : []
  return sequence(objectIdentifier(oid), ...flag, octetString(value))
}

function bytesOfAddress(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number)
  return bytesOfIpv6(address)
}

function bytesOfIpv6(address: string): Uint8Array {
  // Written out in full by the parser of URLs, but for the longest run of zeros.
  const [, inBrackets = ''] = /^\[(.*)\]$/.exec(new URL(`http://[${address}]`).hostname) ?? []
  const [head = '', tail] = inBrackets.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  for (const [n, group] of [...before, ...zeros, ...after].entries()) {
    view.setUint16(2 * n, Number.parseInt(group, 16))
  }
  return bytes
}
