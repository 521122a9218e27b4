import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pageOf } from './paging.ts'

const keyOf = (item: string): string => item

test('all pages together are all items, each once, in order', () => {
  const items = fc.uniqueArray(fc.string(), { maxLength: 60 })
  fc.assert(
    fc.property(items, fc.integer({ min: 1, max: 7 }), (all, limit) => {
      const seen: string[] = []
      let continueToken = ''
      do {
        const page = pageOf(all, keyOf, { limit, continueToken })
        assert.ok(page.items.length <= limit)
        assert.equal(page.total, all.length)
        seen.push(...page.items)
        continueToken = page.nextToken
      } while (continueToken !== '')
      assert.deepEqual(
        seen,
        all.toSorted((a, b) => (a < b ? -1 : 1)),
      )
    }),
  )
})

test('what comes and goes between pages neither repeats nor hides what stays', () => {
  const key = fc.stringMatching(/^[a-z]{1,3}$/)
  const items = fc.uniqueArray(key, { minLength: 5, maxLength: 30 })
  const changes = fc.array(fc.tuple(key, fc.boolean()), { maxLength: 30 })
  fc.assert(
    fc.property(items, changes, (stable, allTurns) => {
      const turns = [...allTurns]
      const current = new Set(stable)
      const seen: string[] = []
      let continueToken = ''
      do {
        const page = pageOf([...current], keyOf, { limit: 3, continueToken })
        seen.push(...page.items)
        continueToken = page.nextToken
        for (const [item, makes] of turns.splice(0, 2)) {
          if (stable.includes(item)) continue
          if (makes) current.add(item)
          else current.delete(item)
        }
      } while (continueToken !== '')
      assert.equal(new Set(seen).size, seen.length)
      for (const item of stable) assert.ok(seen.includes(item), item)
    }),
  )
})

for (const limit of [-1, 1_001]) {
  test(`a limit of ${limit} is refused`, () => {
    assert.throws(() => pageOf([], keyOf, { limit, continueToken: '' }), /limit/)
  })
}

test('a limit of 0 is a hundred', () => {
  const items = Array.from({ length: 150 }, (_, n) => String(n))
  assert.equal(pageOf(items, keyOf, { limit: 0, continueToken: '' }).items.length, 100)
})

test('a token that is not ours is refused', () => {
  assert.throws(() => pageOf([], keyOf, { limit: 1, continueToken: 'abc' }), {
    code: 'invalid_argument',
  })
})
