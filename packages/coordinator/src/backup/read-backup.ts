/** A backup that lies in a file: whether it is whole, and what it holds. */
import { createReadStream, readFileSync } from 'node:fs'
import { CloudlessError } from '@cloudless/base'
import { readDump, type DumpSummary } from '@cloudless/metadata'
import { openBackup, type OpenBackup } from './backup-file.ts'
import type { BackupSecret } from './backup-secret.ts'
import type { BackupManifest } from './manifest.ts'

export interface CheckedBackup {
  readonly manifest: BackupManifest
  readonly summary: DumpSummary
}

/** Reads all of it and stores nothing. Throws as `openBackup`, naming the file. */
export async function checkBackup(path: string, secret: BackupSecret): Promise<CheckedBackup> {
  return about(path, async () => {
    const { manifest, dump } = await openFile(path, secret)
    const summary = await readDump(dump, () => undefined)
    return { manifest, summary }
  })
}

/** Gives `use` what was opened; what it throws names the file. */
export async function readBackup<T>(
  path: string,
  secret: BackupSecret,
  use: (opened: OpenBackup) => Promise<T>,
): Promise<T> {
  return about(path, async () => use(await openFile(path, secret)))
}

export interface SecretFiles {
  /** Paths; empty: not given. */
  readonly passphraseFile: string
  readonly keyFile: string
}

/** The first line of the one file, or the bytes of the other. `invalid_argument` when both are given. */
export function secretFrom({ passphraseFile, keyFile }: SecretFiles): BackupSecret {
  if (passphraseFile !== '' && keyFile !== '') {
    throw new CloudlessError(
      'invalid_argument',
      'a passphrase file and a key file are given: leave one of them out',
    )
  }
  if (passphraseFile !== '') {
    const [line = ''] = contentOf(passphraseFile).toString('utf8').split(/\r?\n/, 1)
    return { kind: 'passphrase', passphrase: line }
  }
  return keyFile === '' ? { kind: 'none' } : { kind: 'key', key: contentOf(keyFile) }
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (reason) {
    throw CloudlessError.from(reason, `reading ${path}`)
  }
}

function openFile(path: string, secret: BackupSecret): Promise<OpenBackup> {
  return openBackup(createReadStream(path), secret)
}

async function about<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (reason) {
    throw CloudlessError.from(reason, `reading the backup ${path}`)
  }
}
