import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeadlineQueue } from './deadline-queue.ts'

test('whatever is added and taken in between, the earliest comes first', () => {
  const step = fc.oneof(fc.nat(100), fc.constant('take' as const))
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const queue = new DeadlineQueue<number>()
      let expected: number[] = []
      for (const next of steps) {
        if (next === 'take') {
          expected = expected.toSorted((a, b) => a - b)
          assert.equal(queue.first?.dueMs, expected[0])
          assert.equal(queue.take()?.dueMs, expected.shift())
        } else {
          queue.add(next, next)
          expected.push(next)
        }
      }
    }),
  )
})
