import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloudlessError, systemClock } from '@cloudless/base'
import { collect, describeMetadataStore, summary } from '../compliance.ts'
import type { MetadataStore, TransactionResult, Write } from '../store.ts'
import { createEtcdStore } from './etcd-store.ts'
import { startEtcd, type TestEtcd, type TestEtcdOptions } from './testing.ts'

describeMetadataStore('etcd', async () => {
  const etcd = await startEtcd()
  const store = createEtcdStore({ clock: systemClock }, { endpoints: etcd.endpoints })
  return {
    store,
    dispose: async () => {
      await store.close()
      await etcd.stop()
    },
  }
})

const put = (key: string, text = key): Write => ({ kind: 'put', key, value: Buffer.from(text) })

/** A member that hangs must be noticed, and another leader found, also on a busy machine. */
const timeout = 60_000
const callMsMax = 12_000

describe('the etcd store', { timeout }, () => {
  const onMembers = (
    property: string,
    options: TestEtcdOptions,
    check: (store: MetadataStore, etcd: TestEtcd) => Promise<void>,
  ): void =>
    void it(property, async () => {
      const etcd = await startEtcd(options)
      const store = createEtcdStore(
        { clock: systemClock },
        { endpoints: etcd.endpoints, callMsMax },
      )
      try {
        await check(store, etcd)
      } finally {
        await store.close()
        await etcd.stop()
      }
    })

  for (const [what, n, signal] of [
    ['the member that is asked dies', 0, 'SIGKILL'],
    ['another member dies', 1, 'SIGKILL'],
    ['the member that is asked hangs', 0, 'SIGSTOP'],
  ] as const) {
    onMembers(
      `reports nothing as done or as failed that it does not know, when ${what}`,
      { members: 3 },
      async (store, { members }) => {
        const outcomes = new Map<string, TransactionResult | CloudlessError>()
        const writing = { isOver: false }
        const writer = async (name: string): Promise<void> => {
          for (let count = 0; !writing.isOver; count++) {
            const key = `${name}/${count}`
            const result = await store
              .transact({ preconditions: [{ kind: 'absent', key }], writes: [put(key)] })
              .catch((reason: unknown) => CloudlessError.from(reason))
            outcomes.set(key, result)
          }
        }
        const writers = Array.from({ length: 20 }, (_, w) => writer(`writer-${w}`))
        try {
          while (outcomes.size < 100) await store.get('a')
          members[n]!.process.kill(signal)
          const before = outcomes.size
          while (outcomes.size < before + 100) await store.get('a')
        } finally {
          writing.isOver = true
          await Promise.all(writers)
        }
        const there = new Set((await store.list('')).entries.map(({ key }) => key))
        for (const [key, outcome] of outcomes) {
          if (!(outcome instanceof CloudlessError)) {
            // Each key is asked for once: only a repetition of ours could find it there.
            assert.equal(outcome.kind, 'committed', key)
            assert.ok(there.has(key), `${key} was acknowledged`)
            continue
          }
          assert.equal(outcome.code, 'unavailable', outcome.message)
          if (outcome.details['outcome'] !== 'unknown') assert.ok(!there.has(key), outcome.message)
        }
      },
    )
  }

  onMembers(
    'keeps no lease by the word of a member that has lost the others',
    { members: 3 },
    async (store, { members, endpoints }) => {
      const leaseId = await store.grantLease(30_000)
      // One of them is RAFT's leader, which would say so by itself.
      for (const [n, endpoint] of endpoints.entries()) {
        const others = members.filter((_, other) => other !== n)
        const alone = createEtcdStore(
          { clock: systemClock },
          { endpoints: [endpoint], callMsMax: 500 },
        )
        assert.equal(await store.keepLeaseAlive(leaseId), true)
        for (const { process } of others) process.kill('SIGSTOP')
        const answer = await alone.keepLeaseAlive(leaseId).catch(() => 'not known')
        for (const { process } of others) process.kill('SIGCONT')
        await alone.close()
        assert.equal(answer, 'not known')
      }
    },
  )

  onMembers(
    'knows that a write was not done which no leader could take',
    { members: 3 },
    async (store, { members, endpoints }) => {
      await store.get('a')
      for (const { process } of members.slice(1)) process.kill('SIGSTOP')
      const alone = createEtcdStore(
        { clock: systemClock },
        { endpoints: endpoints.slice(0, 1), callMsMax: 700 },
      )
      const write = async (key: string): Promise<unknown> =>
        CloudlessError.from(
          await alone.transact({ writes: [put(key)] }).catch((reason: unknown) => reason),
        ).details['outcome']
      let key = ''
      // Until it knows that it has lost the others it may give the write to one of them.
      for (let n = 0, outcome: unknown = 'unknown'; outcome === 'unknown'; n++) {
        key = `written-${n}`
        outcome = await write(key)
      }
      for (const { process } of members.slice(1)) process.kill('SIGCONT')
      await alone.close()
      const again = createEtcdStore({ clock: systemClock }, { endpoints: endpoints.slice(0, 1) })
      await again.transact({ writes: [put('after')] })
      assert.equal(await again.get(key), undefined)
      await again.close()
    },
  )

  onMembers('leaves no timer behind that keeps the process from ending', {}, async (store) => {
    const leaseId = await store.grantLease(30_000)
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    await store.keepLeaseAlive(leaseId)
    const before = timers()
    for (let n = 0; n < 20; n++) {
      assert.equal(await store.keepLeaseAlive(leaseId), true)
      await store.transact({ writes: [put('k')] })
      await store.get('k')
    }
    assert.ok(timers() < before + 10, `${before} timers became ${timers()}`)
  })

  onMembers(
    'closes soon when no member answers, and does not say that what was under way has failed',
    {},
    async (store, { members }) => {
      await store.get('a')
      members[0]!.process.kill('SIGSTOP')
      const written = store.transact({ writes: [put('a')] }).catch((reason: unknown) => reason)
      const startMs = systemClock.monotonicMs()
      await store.close()
      const tookMs = systemClock.monotonicMs() - startMs
      assert.ok(tookMs < callMsMax / 2, `it took ${tookMs} ms`)
      assert.equal(CloudlessError.from(await written).details['outcome'], 'unknown')
    },
  )

  onMembers(
    'goes on with a watch where it was when its member dies',
    { members: 3 },
    async (store, { members }) => {
      const start = (await store.list('')).revision
      const watch = collect(store, 'w/', start)
      const expected: string[] = []
      for (let n = 0; n < 40; n++) {
        const key = `w/${n}`
        const result = await store.transact({ writes: [put(key)] }).catch(async () => {
          const entry = await store.get(key)
          return entry && { revision: entry.modRevision }
        })
        if (result) expected.push(`put ${key} ${result.revision}`)
        if (n === 20) members[0]!.process.kill('SIGKILL')
      }
      await watch.until((changes) => changes.length >= expected.length)
      await watch.stop()
      assert.deepEqual(watch.changes.map(summary), expected)
    },
  )

  onMembers(
    'says that it is full, writes nothing then, and answers questions',
    { quotaBytes: 8 * 1024 * 1024 },
    async (store) => {
      const value = new Uint8Array(512 * 1024).fill(7)
      let stored = 0
      const fill = async (): Promise<void> => {
        for (; stored < 100; stored++) {
          await store.transact({ writes: [{ kind: 'put', key: `k${stored}`, value }] })
        }
      }
      await assert.rejects(fill, {
        code: 'resource_exhausted',
        message: /nothing was written/,
        details: { alarm: 'NOSPACE' },
      })
      assert.equal(await store.get(`k${stored}`), undefined)
      assert.equal((await store.get('k0'))?.value.byteLength, value.byteLength)
      assert.equal((await store.list('')).entries.length, stored)
    },
  )

  it('says whom it has asked when nobody is there, and that nothing was done', async () => {
    const endpoints = ['http://127.0.0.1:1', 'http://127.0.0.1:2']
    const store = createEtcdStore({ clock: systemClock }, { endpoints, callMsMax: 300 })
    await assert.rejects(store.transact({ writes: [put('a')] }), (reason: CloudlessError) => {
      assert.equal(reason.code, 'unavailable')
      assert.match(reason.message, /etcd at 127\.0\.0\.1:1, 127\.0\.0\.1:2/)
      assert.equal(reason.details['outcome'], undefined)
      return true
    })
    await store.close()
  })
})
