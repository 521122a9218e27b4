import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counted } from './counted.ts'

test('only one is one', () => {
  const texts = [0, 1, 2, 10].map((count) => counted(count, 'replica'))
  assert.deepEqual(texts, ['0 replicas', '1 replica', '2 replicas', '10 replicas'])
})
