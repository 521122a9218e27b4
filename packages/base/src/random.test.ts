import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { between, pick, randomId, seededRandom, systemRandom } from './random.ts'

describe('chance', () => {
  for (const [name, random] of [
    ['seeded', seededRandom(42)],
    ['system', systemRandom],
  ] as const) {
    it(`from the ${name} source is even over [0, 1)`, () => {
      const counts = Array.from({ length: 10 }, () => 0)
      for (let n = 0; n < 20_000; n++) {
        const value = random.next()
        assert.ok(value >= 0 && value < 1)
        counts[Math.floor(value * 10)]!++
      }
      for (const count of counts) assert.ok(count > 1_700 && count < 2_300, String(counts))
    })
  }

  it('from one seed is the same every time, and from another it is not', () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 5 }, () => random.next())
    }
    assert.deepEqual(draw(1), draw(1))
    assert.notDeepEqual(draw(1), draw(2))
  })

  it('stays between its bounds and picks what is there', () => {
    const random = seededRandom(3)
    for (let n = 0; n < 1_000; n++) {
      const value = between(random, -5, 5)
      assert.ok(value >= -5 && value < 5)
      assert.ok(['a', 'b'].includes(pick(random, ['a', 'b'])!))
    }
    assert.equal(pick(random, []), undefined)
  })

  it('makes ids that differ, of letters that are not mistaken for one another', () => {
    const ids = Array.from({ length: 10_000 }, () => randomId(systemRandom, 12))
    assert.equal(new Set(ids).size, ids.length)
    for (const id of ids) assert.match(id, /^[a-km-np-z2-9]{12}$/)
  })
})
