import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { electionsWindowMs, isTooTight, rememberElections, type Election } from './elections.ts'

const minute = 60_000

/** [minutes, term before (0: unknown), term, whether the leader before is there] of each look. */
type Look = readonly [number, number, number, boolean]

describe('elections', () => {
  for (const [what, looks, expected] of [
    ['none', [], false],
    ['no new term', [[0, 2, 2, true]], false],
    [
      'three',
      [
        [0, 2, 3, true],
        [1, 3, 4, true],
        [2, 4, 5, true],
      ],
      false,
    ],
    [
      'four',
      [
        [0, 2, 3, true],
        [1, 3, 4, true],
        [2, 4, 5, true],
        [3, 5, 6, true],
      ],
      true,
    ],
    ['four at once', [[0, 2, 6, true]], true],
    ['many at once', [[0, 2, 600, true]], true],
    [
      'four in more than ten minutes',
      [
        [0, 2, 5, true],
        [10, 5, 6, true],
      ],
      false,
    ],
    [
      'four in less than ten minutes',
      [
        [0, 2, 5, true],
        [9.9, 5, 6, true],
      ],
      true,
    ],
    [
      'four leaders that had ended',
      [
        [0, 2, 4, false],
        [1, 4, 6, false],
      ],
      false,
    ],
    [
      'three, and one that had ended',
      [
        [0, 2, 5, true],
        [1, 5, 6, false],
      ],
      false,
    ],
    ['many before a start of its own', [[0, 0, 9, true]], false],
  ] as const satisfies readonly (readonly [string, readonly Look[], boolean])[]) {
    it(`are ${expected ? '' : 'not '}too many: ${what}`, () => {
      let remembered: readonly Election[] = []
      for (const [minutes, previous, term, isFormerLeaderThere] of looks) {
        remembered = rememberElections(remembered, {
          nowMs: minutes * minute,
          previousTerm: previous === 0 ? undefined : previous,
          ...{ term, isFormerLeaderThere },
        })
      }
      assert.equal(isTooTight(remembered), expected)
    })
  }

  it('are forgotten in the end', () => {
    const look = { previousTerm: 2, term: 7, isFormerLeaderThere: true }
    const remembered = rememberElections([], { ...look, nowMs: 0 })
    const quiet = { previousTerm: 7, term: 7, isFormerLeaderThere: false }
    assert.deepEqual(rememberElections(remembered, { ...quiet, nowMs: electionsWindowMs }), [])
  })
})
