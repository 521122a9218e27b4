import assert from 'node:assert/strict'
import { writeFile, readFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '@cloudless/base'
import { collect, describeMetadataStore } from '../compliance.ts'
import type { Change, MetadataStore, Write } from '../store.ts'
import { makeTestDirectory, type TestDirectory } from './testing.ts'

describeMetadataStore('SQLite', async () => {
  const directory = await makeTestDirectory()
  return { store: await directory.open(), dispose: () => directory.remove() }
})

const put = (key: string, text = key): Write => ({ kind: 'put', key, value: Buffer.from(text) })

describe('the SQLite store', { timeout: 60_000 }, () => {
  let directory: TestDirectory
  const inDirectory = (property: string, check: () => Promise<void>): void =>
    void it(property, async () => {
      directory = await makeTestDirectory()
      try {
        await check()
      } finally {
        await directory.remove()
      }
    })

  inDirectory('finds everything again when it is opened again', async () => {
    const first = await directory.open()
    const leaseId = await first.grantLease(60_000)
    await first.transact({ writes: [put('a'), { ...put('leased'), leaseId } as Write] })
    await first.transact({ writes: [put('a', 'newer')] })
    const before = await first.list('')
    await first.close()

    const second = await directory.open()
    assert.deepEqual(await second.list(''), before)
    assert.equal(await second.keepLeaseAlive(leaseId), true)
    const watch = collect(second, '', 0)
    await watch.until((changes) => changes.length === 3)
    await watch.stop()
  })

  inDirectory('ends a lease that nobody kept alive over a restart', async () => {
    const first = await directory.open()
    const leaseId = await first.grantLease(200)
    const { revision } = await first.transact({ writes: [{ ...put('leased'), leaseId } as Write] })
    await first.close()
    const second = await directory.open()
    const watch = collect(second, '', revision)
    await watch.until((changes) => changes.length === 1)
    await watch.stop()
    assert.equal(await second.get('leased'), undefined)
  })

  inDirectory('lets a slow disk hold writes, and neither reads nor the event loop', async () => {
    const delayMs = 400
    const store = await directory.open({ commitDelayMs: delayMs })
    await store.transact({ writes: [put('a')] })
    const disk = { busy: true }
    const startedMs = systemClock.monotonicMs()
    const writes = Promise.all(
      Array.from({ length: 5 }, async (_, n) => {
        for (let m = 0; m < 3; m++) await store.transact({ writes: [put(`w${n}`, String(m))] })
      }),
    ).finally(() => (disk.busy = false))
    const readsMs: number[] = []
    const turnsMs: number[] = []
    while (disk.busy) {
      const readMs = systemClock.monotonicMs()
      await store.get('a')
      readsMs.push(systemClock.monotonicMs() - readMs)
      const turnMs = systemClock.monotonicMs()
      await new Promise((resolve) => setImmediate(resolve))
      turnsMs.push(systemClock.monotonicMs() - turnMs)
    }
    await writes
    assert.ok(systemClock.monotonicMs() - startedMs >= 3 * delayMs, 'the disk was not slow')
    // Held by the disk, every one would take as long as it does; a busy machine makes some of them slow.
    assert.ok(readsMs.length > 20, `only ${readsMs.length} reads beside the writes`)
    assert.ok(medianOf(readsMs) < delayMs * 0.8, `reads took ${medianOf(readsMs)} ms`)
    assert.ok(medianOf(turnsMs) < delayMs * 0.8, `the event loop took ${medianOf(turnsMs)} ms`)
  })

  inDirectory('writes all that waited for one commit with the next', async () => {
    const store = await directory.open({ commitDelayMs: 50 })
    const startedMs = systemClock.monotonicMs()
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => store.transact({ writes: [put(`k${n}`)] })),
    )
    assert.ok(
      systemClock.monotonicMs() - startedMs < 50 * 20,
      'each write paid a commit of its own',
    )
    assert.equal((await store.status()).revision, 200)
  })

  inDirectory('keeps only the newest revisions of its history', async () => {
    const store = await directory.open({ historyRevisions: 100 })
    for (let n = 0; n < 40; n++) {
      await Promise.all(
        Array.from({ length: 10 }, (_, m) => store.transact({ writes: [put(`k${m}`, String(n))] })),
      )
    }
    const { revision, compactedRevision } = await store.status()
    assert.equal(revision, 400)
    assert.ok(compactedRevision >= 400 - 120 && compactedRevision <= 301, String(compactedRevision))
    const watch = collect(store, '', compactedRevision - 1)
    await watch.until((changes) => changes.length === revision - compactedRevision + 1)
    await watch.stop()
    assert.equal((await store.list('')).entries.length, 10)
  })

  inDirectory('keeps no more changes than it may, also after a restart', async () => {
    const historyChangesMax = 1_000
    const changesKept = async (store: MetadataStore): Promise<number> => {
      const { revision, compactedRevision } = await store.status()
      const watch = collect(store, '', Math.max(0, compactedRevision - 1))
      await watch.until((changes) => revisionOf(changes.at(-1)) === revision)
      await watch.stop()
      return watch.changes.length
    }
    let store = await directory.open({ historyChangesMax })
    for (const restart of [false, true]) {
      if (restart) {
        await store.close()
        store = await directory.open({ historyChangesMax })
      }
      for (let n = 0; n < 12; n++) {
        const writes = Array.from({ length: 100 }, (_, m) => put(`k${m}`, String(n)))
        await store.transact({ writes })
        const kept = await changesKept(store)
        assert.ok(kept <= historyChangesMax * 1.1 + 100, `${kept} changes are kept`)
        assert.ok(n < 10 || kept >= historyChangesMax - 100, `only ${kept} changes are kept`)
      }
    }
    assert.equal((await store.list('')).entries.length, 100)
  })

  inDirectory('serves a watch that fell out of memory from the history on disk', async () => {
    const store = await directory.open()
    const value = new Uint8Array(256 * 1024)
    for (let n = 0; n < 60; n++) {
      await store.transact({ writes: [{ kind: 'put', key: `large/${n}`, value }] })
    }
    const watch = collect(store, 'large/', 0)
    await watch.until((changes) => changes.length === 60)
    await watch.stop()
    assert.ok(watch.batches.length > 1, 'the whole history came at once')
  })

  inDirectory('refuses to write when it is full, and goes on when there is space', async () => {
    const store = await directory.open({ sizeBytesMax: 2 * 1024 * 1024, historyRevisions: 10 })
    const value = new Uint8Array(100 * 1024)
    let written = 0
    const fill = async (): Promise<void> => {
      for (; written < 100; written++) {
        await store.transact({ writes: [{ kind: 'put', key: `fill/${written}`, value }] })
      }
    }
    await assert.rejects(fill(), {
      code: 'resource_exhausted',
      message: /nothing was written/,
    })
    assert.equal(await store.get(`fill/${written}`), undefined)
    assert.equal((await store.list('fill/')).entries.length, written)
    await store.transact({ writes: [{ kind: 'delete-prefix', prefix: 'fill/' }] })
    await store.compact((await store.status()).revision)
    await store.transact({ writes: [{ kind: 'put', key: 'after', value }] })
  })

  inDirectory(
    'does not let one write that is too large refuse the others of its group',
    async () => {
      const store = await directory.open({ sizeBytesMax: 512 * 1024, commitDelayMs: 20 })
      const large = new Uint8Array(900 * 1024)
      const results = await Promise.allSettled([
        store.transact({ writes: [put('first')] }),
        store.transact({ writes: [put('a')] }),
        store.transact({ writes: [{ kind: 'put', key: 'large', value: large }] }),
        store.transact({ writes: [put('b')] }),
      ])
      assert.deepEqual(
        results.map((result) => result.status),
        ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(
        (await store.list('')).entries.map((entry) => entry.key),
        ['a', 'b', 'first'],
      )
    },
  )

  inDirectory('says who has the database when it is in use', async () => {
    await directory.open()
    await assert.rejects(directory.open(), {
      code: 'failed_precondition',
      message: new RegExp(`${directory.path} is in use by process ${process.pid}`),
    })
  })

  inDirectory('names the file and what to do when it is damaged', async () => {
    const store = await directory.open()
    const value = new Uint8Array(500).fill(1)
    for (let n = 0; n < 300; n++) {
      await store.transact({ writes: [{ kind: 'put', key: `k${n}`, value }] })
    }
    await store.close()
    const sound = await readFile(directory.path)
    const rubbish = Buffer.from(sound)
    rubbish.fill(0xa5, 4096 * 4, 4096 * 30)
    for (const content of [
      rubbish,
      Buffer.from('this is not a database'.repeat(100)),
      sound.subarray(0, 9_000),
    ]) {
      await writeFile(directory.path, content)
      await assert.rejects(directory.open(), {
        code: 'corrupt_data',
        message: new RegExp(`${directory.path}.*snapshot`),
      })
    }
    await writeFile(directory.path, sound)
    const again = await directory.open()
    assert.equal((await again.list('')).entries.length, 300)
  })

  inDirectory('refuses a directory that is not there', async () => {
    const missing = makeMissingPath(directory.path)
    await assert.rejects(directory.open({ ...missing } as object), { code: 'failed_precondition' })
  })

  inDirectory('refuses the database of another program', async () => {
    const other = new DatabaseSync(directory.path)
    other.exec('CREATE TABLE recipes (name)')
    other.close()
    await assert.rejects(directory.open(), {
      code: 'failed_precondition',
      message: /another program/,
    })
  })
})

function makeMissingPath(path: string): { path: string } {
  return { path: `${path}/no/such/metadata.db` }
}

describe('leases and transactions of one store at once', () => {
  let directory: TestDirectory
  let store: MetadataStore
  before(async () => {
    directory = await makeTestDirectory()
    store = await directory.open()
  })
  after(() => directory.remove())

  it('refuses one write of a group and commits its neighbours', async () => {
    const [first, second, third] = await Promise.allSettled([
      store.transact({ writes: [put('a')] }),
      store.transact({ writes: [{ ...put('b'), leaseId: 'none' } as Write, put('c')] }),
      store.transact({ writes: [put('d')] }),
    ])
    assert.equal(first.status, 'fulfilled')
    assert.equal(second.status, 'rejected')
    assert.equal(third.status, 'fulfilled')
    assert.equal(await store.get('c'), undefined)
    assert.equal((await store.status()).revision, 2)
  })
})

function revisionOf(change: Change | undefined): number | undefined {
  return change?.kind === 'put' ? change.entry.modRevision : change?.modRevision
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
