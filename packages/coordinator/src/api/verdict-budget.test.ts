import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Verdict } from '@cloudless/scheduler'
import { VerdictBudget } from './verdict-budget.ts'

const verdicts = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ nodeId: `node-${n}` }) as Verdict)

for (const [nodeCount, replicas] of [
  [0, 200_000],
  [3_000, 66],
  [50_000, 4],
  [200_000, 1],
  [1_000_000, 1],
] as const) {
  test(`beside ${nodeCount} nodes ${replicas} replicas are explained`, () => {
    const budget = new VerdictBudget(nodeCount)
    let explained = 0
    while (budget.takeReplica()) explained++
    assert.equal(explained, replicas)
  })
}

test('replicas have all of their verdicts or none', () => {
  const budget = new VerdictBudget(2_000)
  const taken = [1, 2, 3].map(() => budget.takeVerdicts(verdicts(2_000)).length)
  assert.deepEqual(taken, [2_000, 2_000, 0])
  assert.equal(budget.takeVerdicts(verdicts(1_000)).length, 1_000)
  assert.equal(budget.takeVerdicts(verdicts(1)).length, 0)
})

test('the first replica has at least the best', () => {
  const budget = new VerdictBudget(6_000)
  const taken = budget.takeVerdicts(verdicts(6_000))
  assert.deepEqual([taken.length, taken[0]!.nodeId], [5_000, 'node-0'])
})
