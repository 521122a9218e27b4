/**
 * The CA's files on disk: ca.key, ca.crt and token.key (0600) in a directory of their own (0700).
 *
 * They come into being together: written and synced in a directory beside it, which is then renamed into place. A crash
 * leaves no CA or a whole one. A directory that holds only some of them was damaged, and is never filled up: a new CA
 * would lock every member out.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import {
  CloudlessError,
  makePrivateDirectory,
  systemCodeOf,
  writeDurablySync,
} from '@cloudless/base'
import { syncDirectorySync } from './sync-directory.ts'

export interface CaFiles {
  /** PKCS#8 PEM. */
  readonly keyPem: string
  readonly certificatePem: string
  /** Signs join tokens: 32 random bytes, base64url. */
  readonly tokenKey: string
}

const fileNames = { keyPem: 'ca.key', certificatePem: 'ca.crt', tokenKey: 'token.key' } as const

/** What is stored in the directory, or undefined when it is absent or empty. `corrupt_data` when a part is missing. */
export function readCaFiles(directory: string): CaFiles | undefined {
  const missing = Object.values(fileNames).filter((name) => !existsSync(join(directory, name)))
  if (missing.length > 0) {
    if (!existsSync(directory) || readdirSync(directory).length === 0) return undefined
    throw new CloudlessError(
      'corrupt_data',
      `the CA in ${directory} lacks ${missing.join(' and ')}: restore it from a backup, ` +
        'or move the directory away to start a new cluster that no present node belongs to',
    )
  }
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8')
  return {
    keyPem: read(fileNames.keyPem),
    certificatePem: read(fileNames.certificatePem),
    tokenKey: read(fileNames.tokenKey).trim(),
  }
}

/** Stores a new CA and returns what is stored then: another process's, when it was faster. */
export function storeCaFiles(directory: string, files: CaFiles): CaFiles {
  const target = resolve(directory)
  const parent = dirname(target)
  makePrivateDirectory(parent)
  removeLeftovers(parent, `.${basename(target)}.`)
  const staging = join(parent, `.${basename(target)}.${process.pid}.new`)
  mkdirSync(staging, { mode: 0o700 })
  try {
    writeDurablySync(join(staging, fileNames.keyPem), files.keyPem)
    writeDurablySync(join(staging, fileNames.certificatePem), files.certificatePem)
    writeDurablySync(join(staging, fileNames.tokenKey), `${files.tokenKey}\n`)
    renameSync(staging, target)
  } catch (reason) {
    rmSync(staging, { recursive: true, force: true })
    const other = isOccupied(reason) ? readCaFiles(target) : undefined
    if (other === undefined) throw CloudlessError.from(reason, `storing the CA in ${target}`)
    return other
  }
  syncDirectorySync(parent)
  return files
}

function isOccupied(reason: unknown): boolean {
  const code = systemCodeOf(reason)
  return code === 'ENOTEMPTY' || code === 'EEXIST'
}

/** Staging directories of processes that are gone; a live one's stays. */
function removeLeftovers(parent: string, prefix: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix) || !name.endsWith('.new')) continue
    const owner = Number(name.slice(prefix.length, -'.new'.length))
    if (owner !== process.pid && existsSync(`/proc/${owner}`)) continue
    rmSync(join(parent, name), { recursive: true, force: true })
  }
}
