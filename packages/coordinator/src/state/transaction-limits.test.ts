import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { transactionBytesMax } from '@cloudless/metadata'
import { firstThatFit, recordsPerTransactionMax, TransactionRoom } from './transaction-limits.ts'

const records = fc.array(fc.record({ bytes: fc.oneof(fc.nat(2_000), fc.nat(1024 * 1024)) }), {
  maxLength: 40,
})

test('what fits is within both limits, goes on with the next, and is something as long as there is something', () => {
  fc.assert(
    fc.property(records, (all) => {
      const some = firstThatFit(all)
      assert.deepEqual(some, all.slice(0, some.length))
      assert.equal(some.length > 0, all.length > 0)
      assert.ok(some.reduce((sum, { bytes }) => sum + bytes, 0) < transactionBytesMax)
    }),
  )
  const small = Array.from({ length: 3_000 }, () => ({ bytes: 0 }))
  assert.ok(firstThatFit(small).length <= recordsPerTransactionMax)
  assert.ok(firstThatFit(small).length > recordsPerTransactionMax / 2)
})

test('room that was refused to a large record is still there for a small one', () => {
  const room = new TransactionRoom()
  const taken = [1, 7 * 1024 * 1024, 1].map((bytes) => room.takes(bytes))
  assert.deepEqual(taken, [true, false, true])
})
