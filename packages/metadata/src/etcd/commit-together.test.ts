import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Precondition, Transaction, Write } from '../store.ts'
import { chooseBatch } from './commit-together.ts'

const value = new Uint8Array([1])
const put = (key: string): Write => ({ kind: 'put', key, value })
const unchanged = (key: string): Precondition => ({ kind: 'unchanged', key, modRevision: 1 })

for (const [property, waiting, expected] of [
  ['none of none', [], []],
  ['one that is alone goes', [{ writes: [put('a')] }], [0]],
  ['those that do not meet go together', [{ writes: [put('a')] }, { writes: [put('b')] }], [0, 1]],
  ['two that write one key do not', [{ writes: [put('a')] }, { writes: [put('a')] }], [0]],
  [
    'one that reads what another writes goes after it',
    [{ writes: [put('a')] }, { preconditions: [unchanged('a')], writes: [put('b')] }],
    [0],
  ],
  [
    'one that writes what another has read goes with it',
    [{ preconditions: [unchanged('a')], writes: [put('b')] }, { writes: [put('a')] }],
    [0, 1],
  ],
  [
    'all may read one key, as those of one term do',
    [
      { preconditions: [unchanged('leader')], writes: [put('a')] },
      { preconditions: [unchanged('leader')], writes: [put('b')] },
    ],
    [0, 1],
  ],
  [
    'one that cannot go lets pass who does not meet it',
    [{ writes: [put('a')] }, { writes: [put('a'), put('b')] }, { writes: [put('c')] }],
    [0, 2],
  ],
  [
    'but nobody who writes what it reads',
    [
      { writes: [put('a')] },
      { preconditions: [unchanged('b')], writes: [put('a')] },
      { writes: [put('b')] },
    ],
    [0],
  ],
  [
    'a prefix meets all below it',
    [
      { writes: [put('x/1')] },
      { writes: [{ kind: 'delete-prefix', prefix: 'x/' }] },
      { writes: [put('y')] },
    ],
    [0, 2],
  ],
  [
    'one under a lease goes alone',
    [{ writes: [{ kind: 'put', key: 'a', value, leaseId: '7' }] }, { writes: [put('b')] }],
    [0],
  ],
] as const satisfies readonly (readonly [string, readonly Transaction[], readonly number[]])[]) {
  test(property, () => assert.deepEqual(chooseBatch(waiting), expected))
}

const key = fc.constantFrom('a', 'b', 'c/1', 'c/2')
const write: fc.Arbitrary<Write> = fc.oneof(
  key.map(put),
  key.map((one) => ({ kind: 'delete' as const, key: one })),
  fc.constant({ kind: 'delete-prefix' as const, prefix: 'c/' }),
)
const transaction: fc.Arbitrary<Transaction> = fc.record({
  preconditions: fc.array(
    fc.oneof(
      key.map((one) => ({ kind: 'absent' as const, key: one })),
      key.map((one) => ({ kind: 'exists' as const, key: one })),
    ),
    { maxLength: 2 },
  ),
  writes: fc.array(write, { minLength: 1, maxLength: 2 }),
})

/** As etcd does it: all preconditions are judged first. */
function commitTogether(state: ReadonlySet<string>, batch: readonly Transaction[]): Committed {
  const holds = batch.map((one) => allHold(state, one))
  const after = new Set(state)
  for (const [n, one] of batch.entries()) if (holds[n]) carryOut(after, one)
  return { outcomes: holds, state: after }
}

interface Committed {
  readonly outcomes: readonly boolean[]
  readonly state: Set<string>
}

function allHold(state: ReadonlySet<string>, { preconditions = [] }: Transaction): boolean {
  return preconditions.every(({ kind, key: one }) => state.has(one) === (kind !== 'absent'))
}

function carryOut(state: Set<string>, { writes }: Transaction): void {
  for (const one of writes) {
    if (one.kind === 'put') state.add(one.key)
    else if (one.kind === 'delete') state.delete(one.key)
    else for (const stored of state) if (stored.startsWith(one.prefix)) state.delete(stored)
  }
}

test('together they come out as one after another, and none waits for ever', () => {
  fc.assert(
    fc.property(
      fc.array(transaction, { maxLength: 12 }),
      fc.subarray(['a', 'b', 'c/1', 'c/2']),
      (transactions, stored) => {
        let waiting = transactions.map((one, n) => ({ one, n }))
        let together = new Set(stored)
        const order: number[] = []
        const outcomes = new Map<number, boolean>()
        while (waiting.length > 0) {
          const places = chooseBatch(waiting.map(({ one }) => one))
          assert.ok(places.length > 0)
          const batch = places.map((place) => waiting[place]!)
          const committed = commitTogether(
            together,
            batch.map(({ one }) => one),
          )
          together = committed.state
          for (const [n, { n: id }] of batch.entries()) {
            order.push(id)
            outcomes.set(id, committed.outcomes[n]!)
          }
          waiting = waiting.filter((_, place) => !places.includes(place))
        }
        const alone = new Set(stored)
        for (const id of order) {
          const one = transactions[id]!
          assert.equal(outcomes.get(id), allHold(alone, one))
          if (allHold(alone, one)) carryOut(alone, one)
        }
        assert.deepEqual([...together].toSorted(), [...alone].toSorted())
      },
    ),
    { numRuns: 2_000 },
  )
})
