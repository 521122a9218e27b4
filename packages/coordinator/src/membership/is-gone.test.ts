import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeRecord } from '../testing/records.ts'
import { isGone } from './is-gone.ts'
import { habitsOfNewcomer } from './habits.ts'
import type { Liveness } from './liveness.ts'

const enrolledAtMs = 1_000_000
const node = nodeRecord('node-a', { node: { createdAtMs: BigInt(enrolledAtMs) } })
const habits = habitsOfNewcomer(500)
const heard = { heardAtMs: 0, beatAtMs: 0, gapMs: 0, isWelcomed: true }
const lost: Liveness = { kind: 'lost', cause: 'reset', lostAtMs: 0, habits }
const connected: Liveness = { kind: 'connected', ...heard, habits }
const reset: Liveness = { kind: 'reset', resetAtMs: 0, deadlineMs: 0, habits }

const cases: readonly [string, Liveness | undefined, number, boolean][] = [
  ['that has just enrolled is not gone', undefined, 0, false],
  ['has a minute to connect', undefined, 59_999, false],
  ['that never arrived is gone after that minute', undefined, 60_000, true],
  ['that was lost is gone, however young', lost, 1_000, true],
  ['that is connected is not gone, however old', connected, 1e9, false],
  ['whose connection broke just now is not gone', reset, 1e9, false],
]
for (const [property, liveness, ageMs, gone] of cases) {
  test(`a node ${property}`, () => {
    assert.equal(isGone(node, liveness, enrolledAtMs + ageMs), gone)
  })
}
