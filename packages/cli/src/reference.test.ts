import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { referencePath, referenceText } from './reference.ts'

test('docs/cli.md is current (otherwise: node packages/cli/src/reference.ts)', async () => {
  assert.equal(readFileSync(referencePath, 'utf8'), await referenceText())
})
