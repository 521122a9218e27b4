import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { delayToTurn } from './turns.ts'

const second = 1_000

describe('turns', () => {
  for (const [wallS, turn, turns, expectedS] of [
    [7, 0, 1, 0],
    [0, 0, 3, 0],
    [0, 1, 3, 15],
    [7, 0, 3, 38],
    [7, 1, 3, 8],
    [16, 1, 3, 44],
    [450_031, 2, 3, 44],
  ] as const) {
    it(`begin after ${expectedS} s: the ${turn} of ${turns} at ${wallS} s`, () => {
      const delayMs = delayToTurn({ wallMs: wallS * second, turn, turns })
      assert.equal(delayMs, expectedS * second)
    })
  }
})
