import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom, type Random } from '@cloudless/base'
import { arrived, silenceLimitMs, suspicionOf, unheard, type Arrivals } from './arrivals.ts'

const intervalMs = 500
const bounds = { heartbeatTimeoutMs: 1_400, heartbeatTimeoutMsMax: 60_000 }
const limitOf = (arrivals: Arrivals): number => silenceLimitMs(arrivals, intervalMs, bounds)

/** Heartbeats of a link on which each sending is lost with this probability. */
function beats(count: number, lateness: (random: Random) => number, seed = 1): Arrivals {
  const random = seededRandom(seed)
  let arrivals = unheard
  for (let n = 0; n < count; n++) {
    arrivals = arrived(arrivals, intervalMs + lateness(random), intervalMs)
  }
  return arrivals
}

const onTime = () => 0
const losing = (loss: number, recoveryMs: number) => (random: Random) => {
  let losses = 0
  while (random.next() < loss) losses++
  return recoveryMs * (2 ** losses - 1)
}
const varying = (jitterMs: number) => (random: Random) => (random.next() - random.next()) * jitterMs

const cases: readonly [string, Arrivals, number, number][] = [
  ['who was never heard has the benefit of the doubt', unheard, 15_000, 60_000],
  ['which fades within seconds', beats(20, onTime), 1_900, 2_600],
  ['and is gone within a minute', beats(120, onTime), 1_400, 1_400],
  ['a single packet lost in an hour changes nothing', beats(600, losing(0.002, 200)), 1_400, 1_700],
  [
    'one that loses a packet in ten is given many losses in a row',
    beats(600, losing(0.1, 700)),
    30_000,
    60_000,
  ],
  ['one in a hundred is given fewer', beats(600, losing(0.01, 200)), 1_500, 4_000],
  ['delays that vary without losses are given a little', beats(600, varying(300)), 2_000, 10_000],
]
for (const [name, arrivals, leastMs, mostMs] of cases) {
  test(name, () => {
    const limitMs = limitOf(arrivals)
    assert.ok(limitMs >= leastMs && limitMs <= mostMs, `${limitMs}`)
  })
}

test('what a node has come back from before it is given again', () => {
  const before = beats(600, onTime)
  const after = arrived(before, intervalMs + 8_000, intervalMs)
  assert.ok(limitOf(after) >= intervalMs + 8_000, `${limitOf(after)}`)
})

test('a link that becomes good is judged as a good one in the end', () => {
  let arrivals = beats(600, losing(0.1, 700))
  for (let n = 0; n < 10_000; n++) arrivals = arrived(arrivals, intervalMs, intervalMs)
  assert.equal(limitOf(arrivals), bounds.heartbeatTimeoutMs)
})

test('a node that is always as late is judged by that in the end', () => {
  const limitMs = limitOf(beats(10_000, () => 1_000))
  assert.ok(limitMs >= 1_500 + 500 && limitMs <= 5_000, `${limitMs}`)
})

test('suspicion grows with silence, is nothing within the usual, and gives up at the limit', () => {
  const arrivals = beats(600, losing(0.05, 300))
  assert.equal(suspicionOf(arrivals, intervalMs, intervalMs), 0)
  let before = 0
  for (let silentMs = 1_500; silentMs < 60_000; silentMs *= 2) {
    const suspicion = suspicionOf(arrivals, silentMs, intervalMs)
    assert.ok(suspicion > before)
    before = suspicion
  }
  const atLimit = suspicionOf(arrivals, limitOf(arrivals), intervalMs)
  assert.ok(Math.abs(atLimit - 7) < 1e-6, `${atLimit}`)
})

test('whatever was heard, the limit is between its bounds, and lateness never narrows it', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 200 })
  fc.assert(
    fc.property(gaps, fc.integer({ min: 0, max: 20_000 }), (history, lateMs) => {
      let arrivals = unheard
      for (const gapMs of history) arrivals = arrived(arrivals, gapMs, intervalMs)
      const limitMs = limitOf(arrivals)
      assert.ok(limitMs >= bounds.heartbeatTimeoutMs && limitMs <= bounds.heartbeatTimeoutMsMax)
      const after = limitOf(arrived(arrivals, intervalMs + lateMs, intervalMs))
      assert.ok(after >= Math.min(intervalMs + lateMs, bounds.heartbeatTimeoutMsMax))
    }),
  )
})
