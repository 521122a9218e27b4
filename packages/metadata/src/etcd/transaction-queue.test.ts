import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '@cloudless/base'
import type { Transaction, TransactionResult } from '../store.ts'
import { TransactionQueue } from './transaction-queue.ts'

const put = (key: string): Transaction => ({
  writes: [{ kind: 'put', key, value: new Uint8Array([1]) }],
})

/** An etcd that answers when it is told to, and a clock that goes when it is told to. */
function setUp() {
  const calls: { readonly keys: string[]; answer(): void; fail(reason: Error): void }[] = []
  const timers: (() => void)[] = []
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, fire) => {
      timers.push(fire)
      return () => timers.splice(timers.indexOf(fire), 1)
    },
  }
  const queue = new TransactionQueue(clock, (transactions) => {
    const { promise, resolve, reject } = Promise.withResolvers<TransactionResult[]>()
    calls.push({
      keys: transactions.map(({ writes }) => ('key' in writes[0]! ? writes[0].key : '')),
      answer: () => resolve(transactions.map(() => ({ kind: 'committed', revision: 7 }))),
      fail: reject,
    })
    return promise
  })
  return { queue, calls, timers }
}

test('what comes while two are under way goes together when one of them is done', async () => {
  const { queue, calls } = setUp()
  const all = [queue.transact(put('a'))]
  await turn()
  all.push(queue.transact(put('b')))
  await turn()
  for (const key of ['c', 'd', 'e']) all.push(queue.transact(put(key)))
  await turn()
  assert.deepEqual(
    calls.map(({ keys }) => keys),
    [['a'], ['b']],
  )
  calls[0]!.answer()
  await turn()
  assert.deepEqual(calls[2]!.keys, ['c', 'd', 'e'])
  for (const { answer } of calls) answer()
  await Promise.all(all)
})

test('what etcd has lost holds up nobody', async () => {
  const { queue, calls, timers } = setUp()
  const lost = [queue.transact(put('a'))]
  await turn()
  lost.push(queue.transact(put('b')))
  await turn()
  const next = queue.transact(put('c'))
  await turn()
  assert.equal(calls.length, 2)
  timers.splice(0)[0]!()
  await turn()
  assert.deepEqual(calls[2]!.keys, ['c'])
  calls[2]!.answer()
  await next
  calls[0]!.fail(new Error('lost'))
  calls[1]!.answer()
  await assert.rejects(lost[0]!, /lost/)
  await lost[1]
})

test('the failure of a call is that of everything in it, and the next goes on', async () => {
  const { queue, calls } = setUp()
  const together = [queue.transact(put('a')), queue.transact(put('b'))]
  await turn()
  calls[0]!.fail(new Error('away'))
  for (const one of together) await assert.rejects(one, /away/)
  const next = queue.transact(put('c'))
  await turn()
  calls[1]!.answer()
  assert.equal((await next).kind, 'committed')
})
