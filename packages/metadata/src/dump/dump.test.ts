import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { makeTestDirectory } from '../sqlite/testing.ts'
import type { MetadataStore, Write } from '../store.ts'
import { dumpStore } from './dump-store.ts'
import { loadStore, readDump } from './load-store.ts'
import { chunked, collected, contentOf, storedEntries } from './testing.ts'

async function emptyStore(t: TestContext): Promise<MetadataStore> {
  const directory = await makeTestDirectory()
  t.after(() => directory.remove())
  return directory.open()
}

const put = (key: string, value: string | Uint8Array = key): Write => ({
  kind: 'put',
  key,
  value: Buffer.from(value),
})

/** A dump of revision 1 with the keys a and b, as format 1 was when it was made: it must be readable for ever. */
const golden =
  '434c44554d5000010000000000000001000100000003616f6e650003000000006262620000000000' +
  '0000000002000000000000000783ae511766eeeacdf240976d27b2c824b92397ee654e9ad5036618' +
  '4b5f826157'

describe('a dump', () => {
  it('gives back the same keys and values, in chunks of any size', async (t) => {
    await fc.assert(
      fc.asyncProperty(storedEntries, fc.integer({ min: 1, max: 200 }), async (entries, size) => {
        const directories = await Promise.all([makeTestDirectory(), makeTestDirectory()])
        try {
          const [from, into] = await Promise.all(directories.map((one) => one.open()))
          const writes = [...entries].map(([key, value]) => put(key, value))
          if (writes.length > 0) await from!.transact({ writes })
          const dump = await dumpStore(from!)
          const bytes = await collected(dump.chunks)
          const summary = await loadStore(into!, chunked(bytes, size))
          assert.deepEqual(await contentOf(into!), await contentOf(from!))
          assert.deepEqual(summary, dump.summary)
          assert.equal(summary.entries, entries.size)
        } finally {
          await Promise.all(directories.map((one) => one.remove()))
        }
      }),
      { numRuns: 12 },
    )
    t.diagnostic('12 stores')
  })

  it('is of one revision while writes go on', async (t) => {
    const store = await emptyStore(t)
    const keys = Array.from({ length: 900 }, (_, n) => `k/${String(n).padStart(4, '0')}`)
    await store.transact({ writes: keys.map((key) => put(key, new Uint8Array(2_000))) })
    const dump = await dumpStore(store)
    const seen: string[] = []
    let round = 0
    const { revision } = await readDump(dump.chunks, async ({ key, value }) => {
      seen.push(`${key} ${value.byteLength}`)
      if (seen.length % 100 !== 0) return
      const again = [put(`new/${round}`), put(`k/0899`, `x${round}`), put(`a/${round++}`)]
      await store.transact({ writes: [...again, { kind: 'delete', key: 'k/0898' }] })
    })
    assert.deepEqual(
      seen,
      keys.map((key) => `${key} 2000`),
    )
    assert.equal(revision, 1)
  })

  it('leaves out what is under the prefixes that are named, on either way', async (t) => {
    const [from, into] = [await emptyStore(t), await emptyStore(t)]
    await from.transact({ writes: ['a', 'lease/1', 'lease/2', 'other/1'].map((key) => put(key)) })
    const dump = await dumpStore(from, { withoutPrefixes: ['lease/'] })
    assert.equal((await loadStore(into, dump.chunks, { withoutPrefixes: ['other/'] })).entries, 2)
    assert.deepEqual([...(await contentOf(into)).keys()], ['a'])
  })

  it('is refused when any byte of it is another, or missing, or too many', async (t) => {
    const store = await emptyStore(t)
    await store.transact({ writes: [put('a', 'one'), put('b/c', 'three'), put('d', '')] })
    const bytes = await collected((await dumpStore(store)).chunks)
    const read = (changed: Uint8Array): Promise<unknown> =>
      readDump(chunked(changed, 7), () => undefined)
    await read(bytes)
    const isRefused = { code: /^(corrupt_data|failed_precondition)$/ }
    for (let at = 0; at < bytes.length; at++) {
      // The revision is told and not interpreted; its checksum finds it at the end like everything else.
      for (const bit of [1, 128]) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= bit
        await assert.rejects(read(changed), isRefused, `byte ${at}`)
      }
      await assert.rejects(read(bytes.subarray(0, at)), { code: 'corrupt_data' }, `cut at ${at}`)
    }
    await assert.rejects(read(Buffer.concat([bytes, Buffer.of(0)])), { code: 'corrupt_data' })
  })

  it('goes into no store that holds something', async (t) => {
    const store = await emptyStore(t)
    await store.transact({ writes: [put('a')] })
    const bytes = await collected((await dumpStore(store)).chunks)
    await assert.rejects(loadStore(store, chunked(bytes, 10)), {
      code: 'failed_precondition',
      message: /is not empty/,
    })
  })

  it('of a newer format says so', async () => {
    const newer = Buffer.from(golden, 'hex')
    newer.writeUInt16BE(2, 6)
    await assert.rejects(
      readDump(chunked(newer, 5), () => undefined),
      { code: 'failed_precondition', message: /format 2/ },
    )
  })

  it('of format 1 stays readable', async () => {
    const seen: string[] = []
    const summary = await readDump(chunked(Buffer.from(golden, 'hex'), 9), ({ key, value }) => {
      seen.push(`${key}=${Buffer.from(value).toString()}`)
    })
    assert.deepEqual(seen, ['a=one', 'bbb='])
    assert.deepEqual(summary, {
      revision: 1,
      entries: 2,
      bytes: 7,
      byKind: { a: 1, bbb: 1 },
    })
  })
})
