import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CommitQueue } from './commit-queue.ts'
import type { CommitReply, Operation, Outcome } from './messages.ts'

const operation = (leaseId: string): Operation => ({ kind: 'revoke-lease', leaseId })

/** Commits that end when they are told to, in their order, as the writer's do. */
function setUp(isManual = true) {
  const groups: { readonly size: number; readonly finish: () => void }[] = []
  const committed: number[] = []
  const queue = new CommitQueue(
    (operations) => {
      const { promise, resolve } = Promise.withResolvers<CommitReply>()
      const n = groups.length
      const outcomes = operations.map((): Outcome => ({ kind: 'done', revision: n, changes: [] }))
      const reply = { outcomes, revision: n, compactedRevision: 0, commitMs: 0 }
      groups.push({ size: operations.length, finish: () => resolve(reply) })
      if (!isManual) resolve(reply)
      return promise
    },
    ({ outcomes }) => committed.push(outcomes.length),
  )
  return { queue, groups, committed, add: (id: number) => queue.add(operation(String(id)), 1) }
}

test('whatever moment after the last a write comes at, it is committed', async () => {
  for (let microtasks = 0; microtasks < 12; microtasks++) {
    const { add } = setUp(false)
    let done = 0
    const writeInTurn = async (): Promise<void> => {
      for (let n = 0; n < 20; n++, done++) {
        await add(n)
        for (let wait = 0; wait < microtasks; wait++) await undefined
      }
    }
    void writeInTurn()
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    assert.equal(done, 20, `${microtasks} microtasks later`)
  }
})

test('a few writes wait for the commit under way, many go as another one', async () => {
  const { add, groups } = setUp()
  void add(0)
  await nextTurn()
  for (let n = 1; n <= 15; n++) void add(n)
  await nextTurn()
  assert.deepEqual(
    groups.map(({ size }) => size),
    [1],
  )
  void add(16)
  await nextTurn()
  assert.deepEqual(
    groups.map(({ size }) => size),
    [1, 16],
  )
  for (let n = 17; n <= 60; n++) void add(n)
  await nextTurn()
  assert.equal(groups.length, 2, 'never more than two')
  groups[0]!.finish()
  await nextTurn()
  assert.deepEqual(
    groups.map(({ size }) => size),
    [1, 16, 44],
  )
})

test('it is drained when everything that was added has its outcome', async () => {
  const { add, groups, queue } = setUp()
  let done = 0
  for (let n = 0; n < 40; n++) void add(n).then(() => done++)
  const seen: number[] = []
  const drain = async (): Promise<void> => {
    await queue.drain()
    seen.push(done)
  }
  const drained = drain()
  for (let n = 0; seen.length === 0; n++) {
    await nextTurn()
    assert.deepEqual(seen, [], `after ${n} of ${groups.length} groups`)
    groups[n]!.finish()
    await nextTurn()
  }
  await drained
  assert.deepEqual(seen, [40])
})
