/**
 * What every engine of the metadata store must do: one suite, which each engine's test runs against itself. Only for
 * tests; it is not in the package's public list.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock, sleep } from '@cloudless/base'
import type { Change, ChangeBatch, MetadataStore, TransactionResult, Write } from './store.ts'
import { operationsPerTransactionMax, transactionBytesMax, valueBytesMax } from './rules.ts'

export interface StoreUnderTest {
  readonly store: MetadataStore
  readonly dispose: () => Promise<void>
}

/** `makeStore` gives an empty store; it is called once for each group of tests. */
export function describeMetadataStore(
  name: string,
  makeStore: () => Promise<StoreUnderTest>,
): void {
  describe(`${name} as a metadata store`, () => {
    let store: MetadataStore
    let dispose: () => Promise<void>
    let area = 0
    /** Each test has keys of its own. */
    let at = ''
    const under = (key: string): string => at + key

    before(async () => ({ store, dispose } = await makeStore()))
    after(() => dispose())
    const test = (property: string, check: () => Promise<void>): void =>
      void it(property, { timeout: 20_000 }, async () => {
        at = `area-${area++}/`
        await check()
      })

    const putText = (key: string, text = key): Write => ({
      kind: 'put',
      key: under(key),
      value: Buffer.from(text),
    })
    const commit = async (...writes: Write[]): Promise<number> =>
      revisionOf(await store.transact({ writes }))

    test('returns what was put, with its revisions, and nothing for what was not', async () => {
      assert.equal(await store.get(under('a')), undefined)
      const first = await commit(putText('a', 'one'))
      const second = await commit(putText('a', 'two'))
      const entry = await store.get(under('a'))
      assert.equal(textOf(entry?.value), 'two')
      assert.equal(entry?.createRevision, first)
      assert.equal(entry?.modRevision, second)
      assert.equal(second, first + 1)
    })

    test('gives a key that was deleted and put again a new beginning', async () => {
      await commit(putText('a'))
      await commit({ kind: 'delete', key: under('a') })
      const again = await commit(putText('a'))
      assert.equal((await store.get(under('a')))?.createRevision, again)
    })

    test('keeps its own copy of a value', async () => {
      const value = Buffer.from('before')
      const done = store.transact({ writes: [{ kind: 'put', key: under('a'), value }] })
      value.fill('x')
      await done
      assert.equal(textOf((await store.get(under('a')))?.value), 'before')
    })

    test('keeps empty values and values of the largest size', async () => {
      const large = new Uint8Array(valueBytesMax).fill(7)
      await commit(
        { kind: 'put', key: under('empty'), value: new Uint8Array() },
        { kind: 'put', key: under('large'), value: large },
      )
      assert.equal((await store.get(under('empty')))?.value.byteLength, 0)
      assert.deepEqual((await store.get(under('large')))?.value, large)
    })

    test('gives all writes of a transaction one revision, and counts by one', async () => {
      const before = (await store.list(at)).revision
      const revision = await commit(putText('a'), putText('b'))
      assert.equal(revision, before + 1)
      const { entries } = await store.list(at)
      assert.deepEqual(
        entries.map((entry) => entry.modRevision),
        [revision, revision],
      )
    })

    test('does not count a transaction that changes nothing', async () => {
      const before = (await store.list(at)).revision
      assert.equal(await commit({ kind: 'delete', key: under('none') }), before)
      assert.equal(await commit({ kind: 'delete-prefix', prefix: under('none/') }), before)
      assert.equal(await commit(), before)
    })

    test('lists by prefix, in order of keys, and no neighbour of the prefix', async () => {
      await commit(
        putText('n/b'),
        putText('n/a'),
        putText('n/a/deep'),
        putText('m'),
        putText('n'),
        putText('o'),
      )
      const { entries, more } = await store.list(under('n/'))
      assert.deepEqual(
        entries.map((entry) => entry.key),
        ['n/a', 'n/a/deep', 'n/b'].map(under),
      )
      assert.equal(more, false)
    })

    test('lists in pages that together are the whole', async () => {
      const keys = Array.from({ length: 7 }, (_, n) => `k${n}`)
      await commit(...keys.map((key) => putText(key)))
      const seen: string[] = []
      for (let afterKey: string | undefined; ;) {
        const page = await store.list(at, { limit: 3, ...(afterKey ? { afterKey } : {}) })
        seen.push(...page.entries.map((entry) => entry.key))
        afterKey = page.entries.at(-1)?.key
        if (!page.more) break
      }
      assert.deepEqual(seen, keys.map(under))
      assert.equal((await store.list(at, { limit: 7 })).more, false)
    })

    test('keeps a snapshot at its revision while writes go on', async () => {
      await commit(putText('a', 'old'), putText('b'), putText('c'))
      const snapshot = await store.snapshot()
      try {
        const first = await snapshot.list(at, { limit: 1 })
        await commit(putText('a', 'new'), { kind: 'delete', key: under('b') }, putText('d'))
        const rest = await snapshot.list(at, { afterKey: first.entries[0]!.key })
        const read = [...first.entries, ...rest.entries]
        assert.deepEqual(
          read.map(({ key, value }) => `${key}=${textOf(value)}`),
          ['a=old', 'b=b', 'c=c'].map(under),
        )
        assert.deepEqual(
          [first, rest].map(({ revision }) => revision),
          [snapshot.revision, snapshot.revision],
        )
        assert.equal(first.more, true)
      } finally {
        await snapshot.close()
        await snapshot.close()
      }
      await assert.rejects(snapshot.list(at), { code: 'unavailable' })
      assert.equal((await store.list(at)).entries.length, 3)
    })

    test('deletes what is under a prefix and nothing beside it', async () => {
      await commit(putText('x/1'), putText('x/2'), putText('x'), putText('y/1'))
      await commit({ kind: 'delete-prefix', prefix: under('x/') })
      const { entries } = await store.list(at)
      assert.deepEqual(
        entries.map((entry) => entry.key),
        ['x', 'y/1'].map(under),
      )
    })

    test('commits only when every precondition holds, and names the first that does not', async () => {
      const revision = await commit(putText('there'))
      const there = under('there')
      const none = under('none')
      const cases = [
        { precondition: { kind: 'absent', key: none }, holds: true },
        { precondition: { kind: 'absent', key: there }, holds: false },
        { precondition: { kind: 'exists', key: there }, holds: true },
        { precondition: { kind: 'exists', key: none }, holds: false },
        { precondition: { kind: 'unchanged', key: there, modRevision: revision }, holds: true },
        {
          precondition: { kind: 'unchanged', key: there, modRevision: revision + 1 },
          holds: false,
        },
        { precondition: { kind: 'unchanged', key: none, modRevision: 0 }, holds: false },
      ] as const
      for (const [n, { precondition, holds }] of cases.entries()) {
        const before = (await store.list(at)).revision
        const result = await store.transact({
          preconditions: [{ kind: 'exists', key: there }, precondition],
          writes: [putText(`written-${n}`)],
        })
        assert.equal(result.kind, holds ? 'committed' : 'refused', JSON.stringify(precondition))
        if (result.kind === 'refused') {
          assert.deepEqual(result.failed, precondition)
          assert.equal(result.revision, before)
        }
        assert.equal((await store.get(under(`written-${n}`))) !== undefined, holds)
      }
    })

    test('lets exactly one of many that race for a key have it', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          store.transact({
            preconditions: [{ kind: 'absent', key: under('prize') }],
            writes: [putText('prize', `runner ${n}`)],
          }),
        ),
      )
      assert.equal(results.filter((result) => result.kind === 'committed').length, 1)
    })

    test('loses no increment of a counter that many change at once', async () => {
      await commit(putText('counter', '0'))
      const increment = async (): Promise<void> => {
        for (let attempt = 0; attempt < 1_000; attempt++) {
          const entry = (await store.get(under('counter')))!
          const { key, modRevision } = entry
          const result = await store.transact({
            preconditions: [{ kind: 'unchanged', key, modRevision }],
            writes: [putText('counter', String(Number(textOf(entry.value)) + 1))],
          })
          if (result.kind === 'committed') return
        }
        assert.fail('an increment never got through')
      }
      await Promise.all(Array.from({ length: 20 }, increment))
      assert.equal(textOf((await store.get(under('counter')))?.value), '20')
    })

    test('refuses what breaks the rules, and says which', async () => {
      const value = Buffer.from('x')
      const put = (key: string): Write => ({ kind: 'put', key, value })
      const wrong: (readonly [RegExp, Write[]])[] = [
        [/empty/, [put('')]],
        [/printable/, [put('a b')]],
        [/printable/, [put('ä')]],
        [/1024/, [put('k'.repeat(1025))]],
        [/twice/, [put('a'), { kind: 'delete', key: 'a' }]],
        [/with prefix/, [put('p/a'), { kind: 'delete-prefix', prefix: 'p/' }]],
        [/1048577 bytes/, [{ kind: 'put', key: 'a', value: new Uint8Array(valueBytesMax + 1) }]],
        [
          /at most 1024/,
          Array.from({ length: operationsPerTransactionMax + 1 }, (_, n) => put(`k${n}`)),
        ],
        [
          /8388608 bytes/,
          Array.from({ length: transactionBytesMax / valueBytesMax }, (_, n) => ({
            kind: 'put',
            key: `k${n}`,
            value: new Uint8Array(valueBytesMax),
          })),
        ],
      ]
      for (const [message, writes] of wrong) {
        await assert.rejects(store.transact({ writes }), { code: 'invalid_argument', message })
      }
      await assert.rejects(store.get(''), { code: 'invalid_argument' })
      await assert.rejects(store.list('', { limit: 0 }), { code: 'invalid_argument' })
    })

    test('tells a watch every change after a revision: past ones, then new ones', async () => {
      const start = (await store.list(at)).revision
      const one = await commit(putText('w/a', '1'), putText('beside'))
      const two = await commit({ kind: 'delete', key: under('w/a') })
      const watch = collect(store, under('w/'), start)
      await watch.until((changes) => changes.length === 2)
      const three = await commit(putText('w/b'), putText('w/c'))
      await watch.until((changes) => changes.length === 4)
      await watch.stop()
      assert.deepEqual(watch.changes.map(summary), [
        `put ${under('w/a')} ${one}`,
        `delete ${under('w/a')} ${two}`,
        `put ${under('w/b')} ${three}`,
        `put ${under('w/c')} ${three}`,
      ])
    })

    test('resumes a watch from the revision of its last batch without loss or repetition', async () => {
      const start = (await store.list(at)).revision
      const first = collect(store, at, start)
      await commit(putText('a'))
      await first.until((changes) => changes.length === 1)
      await first.stop()
      await commit(putText('b'))
      const second = collect(store, at, first.batches.at(-1)!.revision)
      await second.until((changes) => changes.length === 1)
      await second.stop()
      assert.equal(keyOf(second.changes[0]!), under('b'))
    })

    test('never splits a transaction between two batches', async () => {
      const start = (await store.list(at)).revision
      const watch = collect(store, at, start)
      for (let n = 0; n < 20; n++)
        await commit(putText(`a${n}`), putText(`b${n}`), putText(`c${n}`))
      await watch.until((changes) => changes.length === 60)
      await watch.stop()
      for (const batch of watch.batches) {
        const revisions = batch.changes.map(modRevisionOf)
        assert.deepEqual(
          revisions,
          revisions.toSorted((a, b) => a - b),
        )
        assert.equal(batch.revision, Math.max(...revisions))
        assert.equal(batch.changes.length % 3, 0)
      }
    })

    test('ends a watch without an error when its signal is aborted, also before it began', async () => {
      const watch = collect(store, at, (await store.list(at)).revision)
      await watch.stop()
      await drain(store.watch(at, { fromRevision: 0, signal: AbortSignal.abort() }), () =>
        assert.fail('an aborted watch told something'),
      )
    })

    test('ends a watch from compacted history with failed_precondition, and keeps values', async () => {
      const start = await commit(putText('a'))
      await commit(putText('a', 'newer'))
      const last = await commit(putText('b'))
      await store.compact(last)
      assert.equal((await store.status()).compactedRevision, last)
      const stale = store.watch(at, { fromRevision: start, signal: AbortSignal.timeout(5_000) })
      await assert.rejects(drain(stale), { code: 'failed_precondition', message: /list again/ })
      assert.equal((await store.list(at)).entries.length, 2)
      const watch = collect(store, at, last - 1)
      await watch.until((changes) => changes.length === 1)
      await watch.stop()
      await assert.rejects(store.compact(last + 1_000), { code: 'invalid_argument' })
    })

    test('takes the keys of a lease away when nobody keeps it alive, and tells watches', async () => {
      const leaseId = await store.grantLease(300)
      const start = await commit(putText('stays'), { ...putText('goes'), leaseId } as Write)
      const watch = collect(store, at, start)
      await watch.until((changes) => changes.length === 1)
      await watch.stop()
      assert.equal(watch.changes[0]!.kind, 'delete')
      assert.equal(keyOf(watch.changes[0]!), under('goes'))
      assert.equal(await store.keepLeaseAlive(leaseId), false)
      const late = store.transact({ writes: [{ ...putText('late'), leaseId } as Write] })
      await assert.rejects(late, { code: 'failed_precondition', message: /lease/ })
      assert.notEqual(await store.get(under('stays')), undefined)
    })

    test('keeps a lease as long as it is kept alive, and ends it when it is revoked', async () => {
      const leaseId = await store.grantLease(1_000)
      await commit({ ...putText('held'), leaseId } as Write)
      for (let n = 0; n < 6; n++) {
        await sleep(systemClock, 300)
        assert.equal(await store.keepLeaseAlive(leaseId), true)
      }
      assert.notEqual(await store.get(under('held')), undefined)
      await store.revokeLease(leaseId)
      assert.equal(await store.get(under('held')), undefined)
      assert.equal(await store.keepLeaseAlive(leaseId), false)
      await store.revokeLease(leaseId)
    })

    test('lets go of a lease when the key is put again without it', async () => {
      const leaseId = await store.grantLease(60_000)
      await commit({ ...putText('a'), leaseId } as Write)
      await commit(putText('a'))
      await store.revokeLease(leaseId)
      assert.notEqual(await store.get(under('a')), undefined)
    })

    test('reports its revision, size and latency', async () => {
      const revision = await commit(putText('a'))
      const status = await store.status()
      assert.ok(status.revision >= revision)
      assert.ok(status.sizeBytes > 0)
      assert.ok(status.commitLatencyMs >= 0)
    })
  })

  describe(`${name} when it is closed`, () => {
    it('finishes what was begun and refuses what comes later', { timeout: 20_000 }, async () => {
      const { store, dispose } = await makeStore()
      const value = Buffer.from('x')
      const begun = store.transact({ writes: [{ kind: 'put', key: 'a', value }] })
      const watching = drain(
        store.watch('', { fromRevision: 1, signal: AbortSignal.timeout(9_000) }),
      )
      const watchEnds = assert.rejects(watching, { code: 'unavailable' })
      await store.close()
      assert.equal((await begun).kind, 'committed')
      await watchEnds
      await assert.rejects(store.get('a'), { code: 'unavailable' })
      const late = store.transact({ writes: [{ kind: 'put', key: 'b', value }] })
      await assert.rejects(late, { code: 'unavailable' })
      await store.close()
      await dispose()
    })
  })
}

/** A watch whose changes are gathered until it is stopped. */
export function collect(store: MetadataStore, prefix: string, fromRevision: number) {
  const batches: ChangeBatch[] = []
  const abort = new AbortController()
  let wake = (): void => {}
  const ended = (async () => {
    for await (const batch of store.watch(prefix, { fromRevision, signal: abort.signal })) {
      batches.push(batch)
      wake()
    }
  })()
  const changesOf = (): Change[] => batches.flatMap((batch) => batch.changes)
  return {
    batches,
    get changes(): Change[] {
      return changesOf()
    },
    /** Throws when the condition does not come to hold in ten seconds. */
    async until(holds: (changes: Change[]) => boolean): Promise<void> {
      const deadline = AbortSignal.timeout(10_000)
      while (!holds(changesOf())) {
        const next = Promise.withResolvers<void>()
        wake = next.resolve
        const late = (): void =>
          next.reject(new Error(`watch told only ${JSON.stringify(changesOf().map(summary))}`))
        deadline.addEventListener('abort', late, { once: true })
        await Promise.race([next.promise, ended])
        deadline.removeEventListener('abort', late)
      }
    },
    async stop(): Promise<void> {
      abort.abort()
      await ended
    },
  }
}

export function summary(change: Change): string {
  return `${change.kind} ${keyOf(change)} ${modRevisionOf(change)}`
}

function revisionOf(result: TransactionResult): number {
  assert.equal(result.kind, 'committed')
  return result.revision
}

async function drain(
  batches: AsyncIterable<ChangeBatch>,
  onBatch: (batch: ChangeBatch) => void = () => {},
): Promise<void> {
  for await (const batch of batches) onBatch(batch)
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}

function modRevisionOf(change: Change): number {
  return change.kind === 'put' ? change.entry.modRevision : change.modRevision
}

function textOf(value: Uint8Array | undefined): string | undefined {
  return value && Buffer.from(value).toString()
}
