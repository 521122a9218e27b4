import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signalNumber } from './stopper.ts'

test('understands signals as images name them', () => {
  const cases = [
    ['SIGTERM', 15],
    ['term', 15],
    ['SIGQUIT', 3],
    ['9', 9],
    ['', 15],
    ['SIGNONE', 15],
  ] as const
  for (const [text, number] of cases) assert.equal(signalNumber(text), number, text)
})
