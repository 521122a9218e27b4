import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { collect, summary } from '../compliance.ts'
import type { Precondition, Transaction, Write } from '../store.ts'
import { makeTestDirectory } from './testing.ts'

/** What the store is held against: a plain map, transactions one after another. */
class Model {
  readonly entries = new Map<
    string,
    { text: string; createRevision: number; modRevision: number }
  >()
  readonly told: string[] = []
  revision = 0

  /** The verdict, as the store would give it. */
  transact(transaction: Transaction): string {
    const failed = transaction.preconditions?.find((one) => !this.#holds(one))
    if (failed !== undefined) return `refused at ${this.revision} for ${JSON.stringify(failed)}`
    const next = this.revision + 1
    const told: string[] = []
    for (const write of transaction.writes) {
      if (write.kind === 'put') {
        const createRevision = this.entries.get(write.key)?.createRevision ?? next
        const text = Buffer.from(write.value).toString()
        this.entries.set(write.key, { text, createRevision, modRevision: next })
        told.push(`put ${write.key} ${next}`)
        continue
      }
      for (const key of [...this.entries.keys()].toSorted()) {
        const hit = write.kind === 'delete' ? key === write.key : key.startsWith(write.prefix)
        if (!hit) continue
        this.entries.delete(key)
        told.push(`delete ${key} ${next}`)
      }
    }
    this.told.push(...told)
    if (told.length > 0) this.revision = next
    return `committed at ${this.revision}`
  }

  #holds(precondition: Precondition): boolean {
    const entry = this.entries.get(precondition.key)
    if (precondition.kind === 'absent') return entry === undefined
    if (precondition.kind === 'exists') return entry !== undefined
    return entry?.modRevision === precondition.modRevision
  }
}

const key = fc.constantFrom('a', 'a/1', 'a/2', 'b', 'b/1', 'b/2/x', 'c')
const precondition: fc.Arbitrary<Precondition> = fc.oneof(
  fc.record({ kind: fc.constant('absent' as const), key }),
  fc.record({ kind: fc.constant('exists' as const), key }),
  fc.record({ kind: fc.constant('unchanged' as const), key, modRevision: fc.nat(12) }),
)
const write: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key,
      value: fc.string({ maxLength: 5 }).map((text) => Buffer.from(text) as Uint8Array),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
)
const transaction: fc.Arbitrary<Transaction> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      preconditions: fc.array(precondition, { maxLength: 1 }),
      writes: fc.uniqueArray(write, {
        maxLength: 3,
        selector: (one) => (one.kind === 'delete-prefix' ? '' : one.key),
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Transaction>(
      { writes: [{ kind: 'delete-prefix', prefix: 'a/' }] },
      { writes: [{ kind: 'delete-prefix', prefix: 'b' }] },
    ),
  },
)

describe('the SQLite store against a map', () => {
  it('gives the same verdicts, entries and changes, however transactions are grouped', async () => {
    const groups = fc.array(fc.array(transaction, { minLength: 1, maxLength: 6 }), {
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(groups, fc.boolean(), async (drawn, reopen) => {
        const directory = await makeTestDirectory()
        try {
          const model = new Model()
          let store = await directory.open()
          for (const group of drawn) {
            const results = await Promise.all(group.map((one) => store.transact(one)))
            const verdicts = results.map((result) =>
              result.kind === 'committed'
                ? `committed at ${result.revision}`
                : `refused at ${result.revision} for ${JSON.stringify(result.failed)}`,
            )
            assert.deepEqual(
              verdicts,
              group.map((one) => model.transact(one)),
            )
          }
          if (reopen) {
            await store.close()
            store = await directory.open()
          }
          const { entries, revision } = await store.list('')
          assert.equal(revision, model.revision)
          assert.deepEqual(
            entries.map((entry) => ({ ...entry, value: Buffer.from(entry.value).toString() })),
            [...model.entries]
              .toSorted(([a], [b]) => (a < b ? -1 : 1))
              .map(([name, { text, createRevision, modRevision }]) => ({
                key: name,
                value: text,
                createRevision,
                modRevision,
              })),
          )
          const watch = collect(store, '', 0)
          await watch.until((changes) => changes.length >= model.told.length)
          await watch.stop()
          assert.deepEqual(watch.changes.map(summary), model.told)
        } finally {
          await directory.remove()
        }
      }),
      { numRuns: 25, seed: 20_261_120 },
    )
  })
})
