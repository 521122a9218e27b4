import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDefragmentationDue, mayDefragment } from './defragmentation.ts'

const mib = 1024 * 1024
const hour = 3_600_000
const follower = { isLeader: false, isAlone: false }

describe('defragmenting', () => {
  for (const [what, sizeMib, usedMib, sinceLastMs, { isLeader, isAlone }, expected] of [
    ['a follower with much to give back', 200, 50, hour, follower, true],
    ['soon after the last time', 200, 50, hour - 1, follower, false],
    ['a small database', 100, 1, hour, follower, false],
    ['half of it in use', 200, 100, hour, follower, false],
    ['the leader of others', 200, 50, hour, { isLeader: true, isAlone: false }, false],
    ['the only member', 200, 50, hour, { isLeader: true, isAlone: true }, true],
  ] as const) {
    it(`is ${expected ? '' : 'not '}done: ${what}`, () => {
      const sizes = {
        databaseBytes: sizeMib * mib,
        databaseBytesInUse: usedMib * mib,
        sinceLastMs,
      }
      assert.equal(mayDefragment({ ...sizes, isLeader, isAlone }), expected)
      if (expected) assert.ok(isDefragmentationDue(sizes))
    })
  }
})
