import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, beaten, habitsOfNewcomer, resetGraceMs, returned, type Habits } from './habits.ts'

const bounds = { resetGraceMs: 300, resetGraceMsMax: 5_000 }
const minuteMs = 60_000
const newcomer = habitsOfNewcomer(500)

/** Returns after resets, each at a minute and after so many milliseconds. */
function returning(...returns: readonly (readonly [number, number])[]): Habits {
  return returns.reduce<Habits>(
    (habits, [minute, afterMs]) => returned(habits, afterMs, minute * minuteMs, bounds),
    newcomer,
  )
}

const graces: readonly [string, Habits, number, number][] = [
  ['who never returned from a reset has the usual grace', newcomer, 0, 300],
  ['one return may be chance', returning([0, 900]), 1, 300],
  [
    'who returned twice has half as long again as the longest took',
    returning([0, 900], [1, 400]),
    2,
    1_175,
  ],
  ['which is forgotten after an hour', returning([0, 900], [1, 400]), 60, 300],
  ['and is bounded', returning([0, 4_900], [1, 4_900]), 1, 5_000],
  ['fast returns do not narrow it', returning([0, 20], [1, 20]), 1, 300],
  ['who came back late is given no more', returning([0, 900], [1, 900], [2, 60_000]), 2, 300],
]
for (const [name, habits, minute, expectedMs] of graces) {
  test(name, () => {
    const graceMs = resetGraceMs(habits, minute * minuteMs, bounds)
    assert.ok(Math.abs(graceMs - expectedMs) < 50, `${graceMs}`)
  })
}

test('a longer interval counts from when it is asked for', () => {
  assert.equal(asked(newcomer, 2_000).intervalMs, 2_000)
})

test('a shorter one counts when the agent has had time to learn of it', () => {
  let habits = asked(habitsOfNewcomer(2_000), 500)
  const seen = [habits.intervalMs]
  for (let n = 0; n < 3; n++) {
    habits = beaten(habits, 2_000)
    seen.push(habits.intervalMs)
  }
  assert.deepEqual(seen, [2_000, 2_000, 2_000, 500])
  assert.equal(habits.arrivals.losses, 0)
})

test('asking for the same again changes nothing', () => {
  assert.equal(asked(newcomer, 500), newcomer)
  const shortening = asked(habitsOfNewcomer(2_000), 500)
  assert.equal(asked(shortening, 500), shortening)
  assert.equal(asked(shortening, 2_000).shorter, undefined)
})
