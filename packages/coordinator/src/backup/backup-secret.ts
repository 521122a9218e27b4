/**
 * What a backup is encrypted with, and the key that is made of it.
 *
 * A passphrase goes through scrypt (32 MiB, so that also a small coordinator bears it), a key is taken as it is, and "none"
 * is a key that everybody knows: such a file is checked like the others, and read by anybody. Each file has a salt, and so
 * a key of its own.
 */
import { createHash, hkdfSync, scrypt } from 'node:crypto'
import { CloudlessError } from '@cloudless/base'

export type BackupSecret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  /** 32 bytes. */
  | { readonly kind: 'key'; readonly key: Uint8Array }
  | { readonly kind: 'none' }

export interface ScryptCost {
  /** The memory is 1024 bytes times two to the power of this. */
  readonly log2N: number
  readonly r: number
  readonly p: number
}

export interface FileKeys {
  /** Of the contents: 32 bytes. */
  readonly contentKey: Buffer
  /** By which a wrong key is told from a damaged file: 16 bytes. */
  readonly check: Buffer
}

export const scryptCost: ScryptCost = { log2N: 15, r: 8, p: 3 }
/** What a file may ask of its reader: 1 GiB. */
const log2NMax = 20
const passphraseLengthMin = 8
const keyBytes = 32

/** `invalid_argument` when it protects too little. */
export function requireGoodSecret(secret: BackupSecret): void {
  if (secret.kind === 'passphrase' && secret.passphrase.length < passphraseLengthMin) {
    throw new CloudlessError(
      'invalid_argument',
      `the passphrase of a backup must have at least ${passphraseLengthMin} characters`,
    )
  }
  if (secret.kind === 'key' && secret.key.byteLength !== keyBytes) {
    throw new CloudlessError(
      'invalid_argument',
      `the key of a backup must have ${keyBytes} bytes, this one has ${secret.key.byteLength}; ` +
        'make one with `head -c 32 /dev/urandom > backup.key`',
    )
  }
}

export async function fileKeysOf(
  secret: BackupSecret,
  salt: Uint8Array,
  cost: ScryptCost,
): Promise<FileKeys> {
  const master = await masterOf(secret, salt, cost)
  const derive = (what: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', master, salt, `cloudless backup ${what}`, bytes))
  return { contentKey: derive('content', 32), check: derive('check', 16) }
}

function masterOf(
  secret: BackupSecret,
  salt: Uint8Array,
  { log2N, r, p }: ScryptCost,
): Promise<Uint8Array> | Uint8Array {
  switch (secret.kind) {
    case 'none':
      return createHash('sha256').update('cloudless backup without a key').digest()
    case 'key':
      return secret.key
    case 'passphrase': {
      if (log2N > log2NMax || r !== scryptCost.r || p > 16 || log2N < 1 || p < 1) {
        throw new CloudlessError('corrupt_data', 'this backup asks for more work than it is worth')
      }
      const cost = { N: 2 ** log2N, r, p, maxmem: 2 * 128 * 2 ** log2N * r }
      return new Promise((resolve, reject) => {
        scrypt(secret.passphrase.normalize('NFC'), salt, keyBytes, cost, (error, key) =>
          error === null ? resolve(key) : reject(error),
        )
      })
    }
  }
}
