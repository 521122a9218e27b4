import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { backoffDelayMs } from './backoff.ts'
import { seededRandom } from './random.ts'

const options = { delayMsMin: 100, delayMsMax: 10_000 }

describe('backoff', () => {
  it('doubles from the first delay to the longest', () => {
    const longest = { next: () => 1 - 2 ** -53 }
    const delays = [0, 1, 2, 6, 7, 100].map((n) => Math.round(backoffDelayMs(longest, n, options)))
    assert.deepEqual(delays, [100, 200, 400, 6_400, 10_000, 10_000])
  })

  it('grows by the factor it is given', () => {
    const delay = backoffDelayMs({ next: () => 0 }, 2, { ...options, factor: 3 })
    assert.equal(delay, 450)
  })

  it('never leaves the upper half of its delay, for any attempt', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(10_000), (seed, attempt) => {
        const delayMs = backoffDelayMs(seededRandom(seed), attempt, options)
        assert.ok(delayMs >= 50 && delayMs <= 10_000)
      }),
    )
  })
})
