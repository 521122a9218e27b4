import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { TaintSchema } from '@cloudless/api'
import { problemsOfLabels, problemsOfTaints } from './node-validation.ts'

const labels: readonly [string, string, boolean][] = [
  ['tier', 'front', true],
  ['cloudless.io/zone', '', true],
  ['a', 'b_c.d-e', true],
  ['', 'x', false],
  ['-a', 'x', false],
  ['a/b/c', 'x', false],
  ['a', '-', false],
  ['a', 'x'.repeat(63), true],
  ['a', 'x'.repeat(64), false],
  ['x'.repeat(64), 'a', false],
  ['a b', 'x', false],
]
for (const [key, value, fine] of labels) {
  test(`the label ${key.slice(0, 20)}=${value.slice(0, 20)} is ${fine ? 'fine' : 'refused'}`, () => {
    assert.equal(problemsOfLabels('labels', { [key]: value }) === undefined, fine)
  })
}

const taints: readonly [string, string, boolean][] = [
  ['k', 'NoSchedule', true],
  ['k', 'PreferNoSchedule', true],
  ['k', 'NoExecute', true],
  ['k', 'noexecute', false],
  ['k', '', false],
  ['', 'NoExecute', false],
]
for (const [key, effect, fine] of taints) {
  test(`the taint "${key}:${effect}" is ${fine ? 'fine' : 'refused'}`, () => {
    const problem = problemsOfTaints('taints', [create(TaintSchema, { key, effect })])
    assert.equal(problem === undefined, fine)
  })
}

test('more labels or taints than a record should hold are refused', () => {
  const many = Array.from({ length: 257 }, (_, n) => `k${n}`)
  const manyLabels = Object.fromEntries(many.map((key) => [key, '']))
  assert.match(problemsOfLabels('labels', manyLabels)!, /^labels: must have at most 256/)
  const manyTaints = many.map((key) => create(TaintSchema, { key, effect: 'NoExecute' }))
  assert.match(problemsOfTaints('taints', manyTaints)!, /^taints: must have at most 256/)
})
