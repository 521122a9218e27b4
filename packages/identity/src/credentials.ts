/**
 * What a member proves itself with: key, certificate and the CA it trusts, kept in a directory as one set.
 *
 *     <directory>/current -> sets/<name>     key.pem  cert.pem  ca.pem     (0600, in directories 0700)
 *     <directory>/aside   -> sets/<name>     those of a membership that has ended
 *     <directory>/pending.json               the key and request of an enrolment under way
 *
 * A new set is written and synced whole, then `current` is renamed over: a crash at any line leaves the old set or the
 * new one. One process at a time writes a directory.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { renameSync, rmSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import {
  CloudlessError,
  makePrivateDirectory,
  randomId,
  writeDurablySync,
  type Random,
} from '@cloudless/base'
import { certificateFacts, type CertificateFacts } from './certificate-facts.ts'
import type { SpiffeId } from './spiffe-id.ts'
import { syncDirectorySync } from './sync-directory.ts'

export interface Credentials {
  /** PKCS#8 PEM. */
  readonly keyPem: string
  readonly certificatePem: string
  /** Of the cluster's CA. */
  readonly caPem: string
}

export interface LoadedCredentials extends Credentials, CertificateFacts {
  readonly spiffeId: SpiffeId
  /** The id in the SPIFFE id: for an agent its node id, for an operator their name. */
  readonly id: string
}

const fileNames = { keyPem: 'key.pem', certificatePem: 'cert.pem', caPem: 'ca.pem' } as const
const currentName = 'current'
const asideName = 'aside'
const setsName = 'sets'

/** Replaces the set in the directory, durably; made when absent. Ends a pending enrolment. */
export function saveCredentials(random: Random, directory: string, credentials: Credentials): void {
  const sets = join(directory, setsName)
  makePrivateDirectory(sets)
  const name = randomId(random, 12)
  const set = join(sets, name)
  mkdirSync(set, { mode: 0o700 })
  writeDurablySync(join(set, fileNames.keyPem), credentials.keyPem)
  writeDurablySync(join(set, fileNames.certificatePem), credentials.certificatePem)
  writeDurablySync(join(set, fileNames.caPem), credentials.caPem)
  syncDirectorySync(sets)
  const link = join(directory, `${currentName}.tmp`)
  rmSync(link, { force: true })
  symlinkSync(join(setsName, name), link)
  renameSync(link, join(directory, currentName))
  syncDirectorySync(directory)
  rmSync(join(directory, pendingName), { force: true })
  removeOtherSets(directory)
}

/** The set in the directory, or undefined when there is none. `corrupt_data` when it cannot be used. */
export function loadCredentials(directory: string): LoadedCredentials | undefined {
  const current = join(directory, currentName)
  if (!existsSync(current)) return undefined
  try {
    const read = (name: string): string => readFileSync(join(current, name), 'utf8')
    return checkCredentials({
      keyPem: read(fileNames.keyPem),
      certificatePem: read(fileNames.certificatePem),
      caPem: read(fileNames.caPem),
    })
  } catch (reason) {
    throw new CloudlessError(
      'corrupt_data',
      `the credentials in ${directory} cannot be used: ${CloudlessError.from(reason).message}`,
      { cause: reason },
    )
  }
}

/** The same credentials with what their certificate says. `corrupt_data` when the parts do not belong together. */
export function checkCredentials(credentials: Credentials): LoadedCredentials {
  const problem = (text: string): CloudlessError => new CloudlessError('corrupt_data', text)
  const certificate = new X509Certificate(credentials.certificatePem)
  const ca = new X509Certificate(credentials.caPem)
  if (!certificate.checkPrivateKey(createPrivateKey(credentials.keyPem))) {
    throw problem('the certificate is not of the key')
  }
  if (!certificate.verify(ca.publicKey)) throw problem('the certificate is not of the CA')
  const facts = certificateFacts(certificate)
  if (facts.spiffeId === undefined) throw problem('the certificate names no identity')
  return { ...credentials, ...facts, spiffeId: facts.spiffeId, id: facts.spiffeId.id }
}

/** Puts the set aside, where loadCredentials does not find it; for a member that was removed. */
export function setCredentialsAside(directory: string): void {
  if (!existsSync(join(directory, currentName))) return
  renameSync(join(directory, currentName), join(directory, asideName))
  syncDirectorySync(directory)
  removeOtherSets(directory)
}

/** Sets that neither link names: what a crash left, or an older set. */
function removeOtherSets(directory: string): void {
  const kept = [currentName, asideName]
    .map((link) => join(directory, link))
    .filter((link) => existsSync(link))
    .map((link) => basename(readlinkSync(link)))
  for (const name of readdirSync(join(directory, setsName))) {
    if (!kept.includes(name)) {
      rmSync(join(directory, setsName, name), { recursive: true, force: true })
    }
  }
}

/**
 * An enrolment that may have to be repeated: the coordinator answers the same request under the same idempotency key
 * again, so that a crash before the answer was stored costs no second use of the token.
 */
export interface PendingEnrolment {
  readonly keyPem: string
  readonly csrPem: string
  readonly idempotencyKey: string
  /** The token it was made for; with another token it is made anew. */
  readonly tokenId: string
}

const pendingName = 'pending.json'

export function savePendingEnrolment(directory: string, pending: PendingEnrolment): void {
  makePrivateDirectory(directory)
  writeDurablySync(join(directory, pendingName), JSON.stringify(pending))
}

/** Undefined when there is none for this token; a damaged one counts as none. */
export function loadPendingEnrolment(
  directory: string,
  tokenId: string,
): PendingEnrolment | undefined {
  try {
    const text = readFileSync(join(directory, pendingName), 'utf8')
    const pending = JSON.parse(text) as PendingEnrolment
    const whole = [pending.keyPem, pending.csrPem, pending.idempotencyKey].every(
      (part) => typeof part === 'string' && part !== '',
    )
    return whole && pending.tokenId === tokenId ? pending : undefined
  } catch {
    return undefined // Absent or unreadable: a new key is made, which is always right.
  }
}
