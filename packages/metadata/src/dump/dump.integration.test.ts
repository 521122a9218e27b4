import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '@cloudless/base'
import * as fc from 'fast-check'
import { createEtcdStore } from '../etcd/etcd-store.ts'
import { startEtcd } from '../etcd/testing.ts'
import { makeTestDirectory } from '../sqlite/testing.ts'
import { dumpStore } from './dump-store.ts'
import { loadStore } from './load-store.ts'
import { contentOf, storedEntries } from './testing.ts'

it('a dump goes from SQLite to etcd and back', { timeout: 60_000 }, async () => {
  const etcd = await startEtcd()
  const other = createEtcdStore({ clock: systemClock }, { endpoints: etcd.endpoints })
  try {
    await fc.assert(
      fc.asyncProperty(storedEntries, async (entries) => {
        const directories = await Promise.all([makeTestDirectory(), makeTestDirectory()])
        try {
          const [from, back] = await Promise.all(directories.map((one) => one.open()))
          const writes = [...entries].map(([key, value]) => ({ kind: 'put' as const, key, value }))
          if (writes.length > 0) await from!.transact({ writes })
          await other.transact({ writes: [{ kind: 'delete-prefix', prefix: '' }] })
          await loadStore(other, (await dumpStore(from!)).chunks)
          await loadStore(back!, (await dumpStore(other)).chunks)
          assert.deepEqual(await contentOf(back!), await contentOf(from!))
          assert.deepEqual(await contentOf(other), await contentOf(from!))
        } finally {
          await Promise.all(directories.map((one) => one.remove()))
        }
      }),
      { numRuns: 8 },
    )
    const snapshot = await other.snapshot()
    await other.transact({ writes: [{ kind: 'delete-prefix', prefix: '' }] })
    await other.transact({ writes: [{ kind: 'put', key: 'a', value: Buffer.of(1) }] })
    await other.compact((await other.status()).revision)
    await assert.rejects(snapshot.list(''), { code: 'failed_precondition' })
  } finally {
    await other.close()
    await etcd.stop()
  }
})
