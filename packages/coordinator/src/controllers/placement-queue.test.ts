import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PlacementQueue, type Due } from './placement-queue.ts'

const due = fc.record({
  id: fc.integer({ min: 0, max: 30 }).map((n) => `web-${n}`),
  priority: fc.integer({ min: -2, max: 2 }),
  createdAtMs: fc.integer({ min: 0, max: 5 }),
})

const actions = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: due.map((one) => ({ kind: 'add' as const, one })) },
    { weight: 1, arbitrary: due.map((one) => ({ kind: 'remove' as const, one })) },
    { weight: 2, arbitrary: fc.constant({ kind: 'next' as const }) },
  ),
  { maxLength: 120 },
)

function isFirst(one: Due, others: readonly Due[]): boolean {
  return others.every(
    (other) =>
      one.priority > other.priority ||
      (one.priority === other.priority &&
        (one.createdAtMs < other.createdAtMs ||
          (one.createdAtMs === other.createdAtMs && one.id <= other.id))),
  )
}

test('the highest priority comes first, then the oldest, each once, whatever was done before', () => {
  fc.assert(
    fc.property(actions, (history) => {
      const queue = new PlacementQueue()
      const model = new Map<string, Due>()
      for (const action of history) {
        if (action.kind === 'add') {
          queue.add(action.one)
          if (!model.has(action.one.id)) model.set(action.one.id, action.one)
        } else if (action.kind === 'remove') {
          queue.remove(action.one.id)
          model.delete(action.one.id)
        } else {
          const id = queue.next()
          assert.equal(id === undefined, model.size === 0)
          if (id === undefined) continue
          assert.ok(isFirst(model.get(id)!, [...model.values()]), id)
          model.delete(id)
        }
        assert.equal(queue.size, model.size)
      }
    }),
  )
})
