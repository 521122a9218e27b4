import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { canaries, type Canary } from './canaries.ts'
import { runSeed } from './run-seed.ts'

const seedsMax = 10

describe('a deliberate bug', () => {
  for (const [name, canary] of Object.entries<Canary>(canaries)) {
    it(`that ${name.replaceAll('-', ' ')} is found within ${seedsMax} seeds`, async () => {
      const found = new Set<string>()
      for (let seed = 1; seed <= seedsMax && !found.has(canary.foundBy); seed++) {
        const { violations } = await runSeed(seed, { canary })
        for (const { checker } of violations) found.add(checker)
      }
      assert.ok(found.has(canary.foundBy), `found by ${[...found].join(', ') || 'nobody'}`)
    })
  }
})
