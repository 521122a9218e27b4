/** For tests: a CA by openssl whose certificates are of the kind that the cluster's own issues. */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@cloudless/base'
import type { MemberCredentials, MemberNames } from './certificate.ts'

export interface TestCa {
  readonly certificatePem: string
  /** How many were issued. */
  readonly issued: number
  issue(names: MemberNames, lifetimeMs?: number): MemberCredentials
}

const hourMs = 3_600_000

export function createTestCa(directory: string): TestCa {
  mkdirSync(directory, { recursive: true })
  const at = (name: string): string => join(directory, name)
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  }
  writeFileSync(at('ca.key'), newKeyPem())
  writeFileSync(at('index.txt'), '')
  writeFileSync(at('ca.cnf'), configurationFor(['URI:spiffe://test/ca']))
  openssl(
    ...['req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=Test CA', '-days', '2'],
    ...['-out', 'ca.crt', '-config', 'ca.cnf', '-extensions', 'authority'],
  )
  const certificatePem = readFileSync(at('ca.crt'), 'utf8')
  let issued = 0
  return {
    certificatePem,
    get issued() {
      return issued
    },
    issue({ dnsNames, ipAddresses }, lifetimeMs = hourMs) {
      issued++
      const names = [
        'URI:spiffe://test/member',
        ...dnsNames.map((name) => `DNS:${name}`),
        ...ipAddresses.map((address) => `IP:${address}`),
      ]
      const keyPem = newKeyPem()
      const notBeforeMs = wholeSeconds(systemClock.wallMs() - lifetimeMs / 5)
      const notAfterMs = wholeSeconds(systemClock.wallMs() + lifetimeMs)
      writeFileSync(at('leaf.key'), keyPem)
      writeFileSync(at('leaf.cnf'), configurationFor(names))
      openssl(
        ...['req', '-new', '-key', 'leaf.key', '-subj', '/CN=member', '-out', 'leaf.csr'],
        ...['-config', 'leaf.cnf'],
      )
      openssl(
        ...['ca', '-batch', '-notext', '-config', 'leaf.cnf', '-in', 'leaf.csr'],
        ...['-startdate', asTime(notBeforeMs), '-enddate', asTime(notAfterMs), '-out', 'leaf.crt'],
      )
      const leafPem = readFileSync(at('leaf.crt'), 'utf8')
      return { keyPem, certificatePem: leafPem, caPem: certificatePem, notBeforeMs, notAfterMs }
    },
  }
}

function newKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function configurationFor(names: readonly string[]): string {
  return `
[req]
distinguished_name = subject
[subject]
[ca]
default_ca = issuing
[issuing]
database = index.txt
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
rand_serial = yes
default_md = sha256
unique_subject = no
policy = policy
x509_extensions = leaf
[policy]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
authorityKeyIdentifier = keyid
subjectAltName = ${names.join(', ')}
`
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000
}

/** YYYYMMDDHHMMSSZ. */
function asTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`
}
