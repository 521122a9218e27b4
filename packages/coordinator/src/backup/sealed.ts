/**
 * A stream of bytes in a file that cannot be read without its key, nor changed, cut or put in another order unnoticed.
 *
 *     head    "CLBACKUP", version (u16), length of the head (u16), protection (u8), log2 N, r, p of scrypt (u8 each),
 *             salt (32), check of the key (16), SHA-256 of all before it (16)
 *     chunk   length (u32; its highest bit is set on the last), AES-256-GCM of so many bytes, tag (16)
 *
 * The nonce of a chunk is its number and whether it is the last; each file has a key of its own, so none comes twice. All
 * versions keep the first twelve bytes and the checksum at the end of the head. Numbers are big-endian.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { ByteReader, CloudlessError } from '@cloudless/base'
import { fileKeysOf, scryptCost, type BackupSecret, type ScryptCost } from './backup-secret.ts'

const magic = 'CLBACKUP'
const formatVersion = 1
const prefixBytes = 12
const headBytes = 80
const headBytesMax = 4_096
const saltBytes = 32
const checkBytes = 16
const checksumBytes = 16
const tagBytes = 16
const chunkBytesMax = 1024 * 1024
const lastBit = 0x8000_0000
const protections = ['none', 'passphrase', 'key'] as const

export type Protection = (typeof protections)[number]

/** Encrypts what comes. `salt` is for tests: the same one must never be used for two files. */
export async function* seal(
  chunks: AsyncIterable<Uint8Array>,
  secret: BackupSecret,
  salt: Uint8Array = randomBytes(saltBytes),
): AsyncGenerator<Uint8Array> {
  const keys = await fileKeysOf(secret, salt, scryptCost)
  const head = encodeHead(secret.kind, salt, keys.check)
  yield head
  let number = 0
  // One behind: only when the next has come is it known that this was not the last.
  let waiting: Uint8Array | undefined
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; at += chunkBytesMax) {
      if (waiting !== undefined) yield sealChunk(waiting, number++, false)
      waiting = chunk.subarray(at, at + chunkBytesMax)
    }
  }
  yield sealChunk(waiting ?? new Uint8Array(), number, true)

  function sealChunk(plain: Uint8Array, n: number, isLast: boolean): Buffer {
    const cipher = createCipheriv('aes-256-gcm', keys.contentKey, nonceOf(n, isLast))
    cipher.setAAD(head)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(plain.byteLength + (isLast ? lastBit : 0))
    return Buffer.concat([length, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }
}

/**
 * What was sealed. Each chunk is known to be right before it is given on; that none is missing is known at the end.
 *
 * `corrupt_data` when it is no backup, damaged or cut off; `invalid_argument` when the key is not the one it was sealed
 * with; `failed_precondition` when a newer version made it. details.reason says which.
 */
export async function* unseal(
  chunks: AsyncIterable<Uint8Array>,
  secret: BackupSecret,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(chunks)
  try {
    const head = await readHead(reader)
    const { protection, salt, cost, check } = decodeHead(head)
    requireKind(protection, secret.kind)
    const keys = await fileKeysOf(secret, salt, cost)
    if (!timingSafeEqual(keys.check, check)) throw wrongKey(protection)
    for (let number = 0; ; number++) {
      const length = await reader.take(4)
      if (length === undefined) throw cutOff()
      const isLast = length.readUInt32BE() >= lastBit
      const bytes = length.readUInt32BE() % lastBit
      if (bytes > chunkBytesMax) throw damaged()
      const sealed = await reader.take(bytes + tagBytes)
      if (sealed === undefined) throw cutOff()
      yield openChunk(sealed, keys.contentKey, nonceOf(number, isLast), head)
      if (isLast) break
    }
    if ((await reader.peek(1)) !== undefined) throw damaged()
  } finally {
    await reader.close()
  }
}

/** What is needed to read the file. Throws as `unseal`. */
export async function protectionOf(chunks: AsyncIterable<Uint8Array>): Promise<Protection> {
  const reader = new ByteReader(chunks)
  try {
    return decodeHead(await readHead(reader)).protection
  } finally {
    await reader.close()
  }
}

function openChunk(sealed: Buffer, key: Buffer, nonce: Buffer, head: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  decipher.setAAD(head)
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  const plain = decipher.update(sealed.subarray(0, -tagBytes))
  try {
    decipher.final()
  } catch (reason) {
    throw damaged(reason)
  }
  return plain
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(number))
  nonce.writeUInt32BE(isLast ? 1 : 0, 8)
  return nonce
}

function encodeHead(protection: Protection, salt: Uint8Array, check: Buffer): Buffer {
  const head = Buffer.alloc(headBytes)
  head.write(magic, 'latin1')
  head.writeUInt16BE(formatVersion, 8)
  head.writeUInt16BE(headBytes, 10)
  const { log2N, r, p } = scryptCost
  head.set([protections.indexOf(protection), log2N, r, p], prefixBytes)
  head.set(salt, prefixBytes + 4)
  head.set(check, prefixBytes + 4 + saltBytes)
  head.set(checksumOf(head), headBytes - checksumBytes)
  return head
}

interface Head {
  readonly protection: Protection
  readonly cost: ScryptCost
  readonly salt: Buffer
  readonly check: Buffer
}

async function readHead(reader: ByteReader): Promise<Buffer> {
  const prefix = await reader.peek(prefixBytes)
  if (prefix?.toString('latin1', 0, magic.length) !== magic) {
    throw new CloudlessError(
      'corrupt_data',
      'this is no backup of Cloudless: another file, or only its beginning',
      {
        details: { reason: 'not_a_backup' },
      },
    )
  }
  const length = prefix.readUInt16BE(10)
  if (length < headBytes || length > headBytesMax) throw damaged()
  const head = await reader.take(length)
  if (head === undefined) throw cutOff()
  return head
}

function decodeHead(head: Buffer): Head {
  if (!checksumOf(head).equals(head.subarray(-checksumBytes))) throw damaged()
  const written = head.readUInt16BE(8)
  if (written !== formatVersion) {
    throw new CloudlessError(
      'failed_precondition',
      `this backup has format ${written}, and this version reads format ${formatVersion}; ` +
        'use the version of Cloudless that made it, or a newer one',
      { details: { reason: 'newer_format' } },
    )
  }
  const [kind, log2N, r, p] = head.subarray(prefixBytes, prefixBytes + 4)
  const protection = protections[kind!]
  if (protection === undefined) throw damaged()
  const saltAt = prefixBytes + 4
  return {
    protection,
    cost: { log2N: log2N!, r: r!, p: p! },
    salt: head.subarray(saltAt, saltAt + saltBytes),
    check: head.subarray(saltAt + saltBytes, saltAt + saltBytes + checkBytes),
  }
}

function checksumOf(head: Buffer): Buffer {
  const covered = head.subarray(0, -checksumBytes)
  return createHash('sha256').update(covered).digest().subarray(0, checksumBytes)
}

function requireKind(needed: Protection, given: Protection): void {
  if (needed === given) return
  const how = {
    passphrase: 'with a passphrase: give it with --passphrase-file',
    key: 'with a key: give it with --encryption-key-file',
    none: 'with nothing: leave --passphrase-file and --encryption-key-file out',
  }[needed]
  throw new CloudlessError('invalid_argument', `this backup is encrypted ${how}`, {
    details: { reason: 'wrong_key' },
  })
}

function wrongKey(protection: Protection): CloudlessError {
  const what = protection === 'key' ? 'key' : 'passphrase'
  return new CloudlessError(
    'invalid_argument',
    `this is not the ${what} with which the backup was made; the file itself is undamaged as far as it was read`,
    { details: { reason: 'wrong_key' } },
  )
}

function damaged(cause?: unknown): CloudlessError {
  return new CloudlessError('corrupt_data', 'this backup is damaged: use another', {
    cause,
    details: { reason: 'damaged' },
  })
}

function cutOff(): CloudlessError {
  return new CloudlessError(
    'corrupt_data',
    'this backup is cut off: its end is missing; copy it again, or use another',
    { details: { reason: 'cut_off' } },
  )
}
