import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { CloudlessError, systemClock } from '@cloudless/base'
import { readDump } from '@cloudless/metadata'
import { beginBackup, openBackup, type BackupSource } from './backup-file.ts'
import type { BackupSecret } from './backup-secret.ts'
import { protectionOf, seal, unseal } from './sealed.ts'

const key: BackupSecret = { kind: 'key', key: new Uint8Array(32).fill(7) }
const passphrase: BackupSecret = { kind: 'passphrase', passphrase: 'correct horse' }

async function* chunked(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collected(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

/** How opening and reading it to its end goes wrong. */
async function reasonOf(bytes: Uint8Array, secret: BackupSecret): Promise<string | undefined> {
  try {
    const { dump } = await openBackup(chunked(bytes), secret)
    await readDump(dump, () => undefined)
    return undefined
  } catch (reason) {
    assert.ok(reason instanceof CloudlessError, String(reason))
    return String(reason.details['reason'] ?? reason.code)
  }
}

function sourceWith(entries: readonly { key: string; value: Uint8Array }[]): BackupSource & {
  readonly closed: () => number
} {
  let closed = 0
  const held = entries.map((entry) => ({ ...entry, createRevision: 1, modRevision: 1 }))
  return {
    clock: systemClock,
    clusterId: 'cluster-abc',
    trustDomain: 'cloudless',
    caFiles: () => ({ keyPem: 'KEY', certificatePem: 'CERT', tokenKey: 'TOKEN' }),
    store: {
      snapshot: async () => ({
        revision: 42,
        list: async () => ({ entries: held, revision: 42, more: false }),
        close: async () => void closed++,
      }),
    },
    closed: () => closed,
  }
}

const entry = (name: string, bytes = 10) => ({ key: name, value: new Uint8Array(bytes).fill(3) })

describe('a backup', () => {
  for (const secret of [passphrase, key, { kind: 'none' } as const]) {
    it(`that is protected by ${secret.kind} gives back what is in it`, async () => {
      const source = sourceWith([entry('a'), entry('leadership/x'), entry('nodes/n1', 300_000)])
      const backup = await beginBackup(source, secret)
      const bytes = await collected(backup.chunks)
      assert.ok(source.closed() > 0, 'the snapshot is closed')
      assert.equal(backup.summary.entries, 2)
      assert.equal(await protectionOf(chunked(bytes, 5)), secret.kind)
      const { manifest, dump } = await openBackup(chunked(bytes, 77), secret)
      assert.equal(manifest.ca.keyPem, 'KEY')
      assert.deepEqual([manifest.clusterId, manifest.revision], ['cluster-abc', 42])
      const seen: string[] = []
      await readDump(dump, (one) => void seen.push(`${one.key} ${one.value.byteLength}`))
      assert.deepEqual(seen, ['a 10', 'nodes/n1 300000'])
    })
  }

  it('tells a wrong key, a file cut off, a damaged one and another file apart', async () => {
    const noise = Buffer.from(Array.from({ length: 200_000 }, (_, n) => (n * n * 31) % 251))
    const { chunks } = await beginBackup(sourceWith([{ key: 'a', value: noise }]), passphrase)
    const bytes = await collected(chunks)
    const flipped = (at: number): Buffer => {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 4
      return changed
    }
    const wrong = { kind: 'passphrase', passphrase: 'incorrect horse' } as const
    assert.equal(await reasonOf(bytes, passphrase), undefined)
    assert.equal(await reasonOf(bytes, wrong), 'wrong_key')
    assert.equal(await reasonOf(bytes, key), 'wrong_key')
    assert.equal(await reasonOf(bytes.subarray(0, -1), passphrase), 'cut_off')
    assert.equal(await reasonOf(bytes.subarray(0, 200), passphrase), 'cut_off')
    assert.equal(await reasonOf(flipped(30), passphrase), 'damaged')
    assert.equal(await reasonOf(flipped(bytes.length - 1), passphrase), 'damaged')
    assert.equal(await reasonOf(flipped(200), passphrase), 'damaged')
    assert.equal(await reasonOf(Buffer.concat([bytes, bytes]), passphrase), 'damaged')
    assert.equal(await reasonOf(Buffer.from('PK some archive'), passphrase), 'not_a_backup')
    assert.equal(await reasonOf(Buffer.alloc(0), passphrase), 'not_a_backup')
  })

  it('that version 0.1.0 made stays readable', async () => {
    const golden = readFileSync(new URL('./golden.backup', import.meta.url))
    const { manifest, dump } = await openBackup(chunked(golden), passphrase)
    assert.deepEqual(
      [manifest.clusterId, manifest.version, manifest.ca.tokenKey],
      ['cluster-abc', '0.1.0', 'TOKEN'],
    )
    const seen: string[] = []
    const summary = await readDump(dump, ({ key: at }) => void seen.push(at))
    assert.deepEqual(seen, ['a', 'nodes/n1'])
    assert.equal(summary.revision, 42)
  })

  it('does not hold what is in it in the clear', async () => {
    const source = sourceWith([{ key: 'a', value: Buffer.from('very secret') }])
    const bytes = await collected((await beginBackup(source, passphrase)).chunks)
    for (const text of ['KEY', 'TOKEN', 'very secret']) assert.equal(bytes.indexOf(text), -1)
  })

  it('ends its snapshot when nobody reads it to its end', async () => {
    const source = sourceWith([entry('a', 500_000), entry('b', 500_000)])
    const { chunks } = await beginBackup(source, key)
    for await (const _ of chunks) break
    assert.ok(source.closed() > 0)
  })
})

describe('what is sealed', () => {
  const salt = new Uint8Array(32).fill(1)
  const sealed = (...texts: string[]): Promise<Buffer> =>
    collected(
      seal(
        (async function* () {
          for (const text of texts) yield Buffer.from(text)
        })(),
        key,
        salt,
      ),
    )

  it('is refused with any byte changed or missing, and with chunks in another order', async () => {
    const bytes = await sealed('one', 'two', 'three')
    assert.equal(String(await collected(unseal(chunked(bytes, 3), key))), 'onetwothree')
    const isRefused = { name: 'CloudlessError' }
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 128]) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= bit
        await assert.rejects(collected(unseal(chunked(changed), key)), isRefused, `byte ${at}`)
      }
      const cut = bytes.subarray(0, at)
      await assert.rejects(collected(unseal(chunked(cut), key)), isRefused, `cut at ${at}`)
    }
    const [head, first, second] = [
      bytes.subarray(0, 80),
      bytes.subarray(80, 103),
      bytes.subarray(103),
    ]
    const swapped = Buffer.concat([head, second.subarray(0, 23), first, second.subarray(23)])
    await assert.rejects(collected(unseal(chunked(swapped), key)), { code: 'corrupt_data' })
    const dropped = Buffer.concat([head, second])
    await assert.rejects(collected(unseal(chunked(dropped), key)), { code: 'corrupt_data' })
  })

  it('of nothing is a file too', async () => {
    assert.equal((await collected(unseal(chunked(await sealed()), key))).length, 0)
  })

  it('of a newer format says so, and a changed version is damage', async () => {
    const newer = await sealed('one')
    newer.writeUInt16BE(2, 8)
    await assert.rejects(collected(unseal(chunked(newer), key)), { code: 'corrupt_data' })
    newer.set(createHash('sha256').update(newer.subarray(0, 64)).digest().subarray(0, 16), 64)
    await assert.rejects(collected(unseal(chunked(newer), key)), {
      code: 'failed_precondition',
      message: /format 2/,
    })
  })

  it('of format 1 stays readable', async () => {
    const golden = await sealed('one', 'two')
    assert.equal(golden.toString('base64'), goldenText)
    assert.equal(
      String(await collected(unseal(chunked(Buffer.from(goldenText, 'base64')), key))),
      'onetwo',
    )
  })
})

const goldenText =
  'Q0xCQUNLVVAAAQBQAg8IAwEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB7LlBOIhO7Ommaoh5nM9xIjrm3wNS499W1rGvSRXErOMAAAADgwPHC9pybwLHsDUIGdM5CdnKTIAAAAMlnvr5+g0Xbx9kr3mill+V5Eaz'
