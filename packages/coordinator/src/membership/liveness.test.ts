import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { arrived } from './arrivals.ts'
import { habitsOfNewcomer, returned, type Habits } from './habits.ts'
import {
  awaited,
  dueMs,
  livenessDefaults,
  longLost,
  silenceLimitMs,
  stepLiveness,
  suspicionNow,
  type Liveness,
  type LivenessEvent,
} from './liveness.ts'

const options = livenessDefaults
/** Long on time. */
const habits = onTimeFor(1_000)
const flapping = returned(returned(habits, 1_000, 0, options), 1_000, 0, options)
const connected = connectedWith(habits)
const unwelcomed: Liveness = { ...connected, isWelcomed: false }
const reset: Liveness = { kind: 'reset', resetAtMs: 0, deadlineMs: 300, habits }
const leaving: Liveness = { kind: 'leaving', deadlineMs: 60_000, habits }
const absent = awaited(0, options)
const lost: Liveness = { kind: 'lost', cause: 'silence', lostAtMs: 0, habits }
const tick = (marginMs = 0): LivenessEvent => ({ kind: 'tick', marginMs })

function onTimeFor(beats: number, intervalMs = options.heartbeatIntervalMs): Habits {
  const newcomer = habitsOfNewcomer(intervalMs)
  let { arrivals } = newcomer
  for (let n = 0; n < beats; n++) arrivals = arrived(arrivals, intervalMs, intervalMs)
  return { ...newcomer, arrivals }
}

function connectedWith(learnt: Habits): Extract<Liveness, { kind: 'connected' }> {
  const rest = { heardAtMs: 0, beatAtMs: 0, gapMs: 0, isWelcomed: true }
  return { kind: 'connected', ...rest, habits: learnt }
}

const cases: readonly [string, Liveness, LivenessEvent, number, string][] = [
  ['silence up to the limit is borne', connected, tick(), 1_300, 'connected'],
  ['silence beyond the limit is a loss', connected, tick(), 1_301, 'lost silence'],
  ['our own lateness is not the node’s', connected, tick(5_000), 6_300, 'connected'],
  ['but the rest is', connected, tick(5_000), 6_301, 'lost silence'],
  [
    'who was not told to send heartbeats is not expected to',
    unwelcomed,
    tick(),
    60_000,
    'connected',
  ],
  ['but not for ever', unwelcomed, tick(), 60_001, 'lost silence'],
  ['a reset starts the grace', connected, { kind: 'reset' }, 1_000, 'reset until 1300'],
  [
    'a longer one where the link flaps',
    connectedWith(flapping),
    { kind: 'reset' },
    0,
    'reset until 1500',
  ],
  ['within the grace nothing is lost', reset, tick(), 299, 'reset until 300'],
  ['after the grace it is', reset, tick(), 300, 'lost reset'],
  ['our lateness extends the grace', reset, tick(50), 320, 'reset until 300'],
  ['a reset of what is lost changes nothing', lost, { kind: 'reset' }, 1, 'lost silence'],
  ['a reset while leaving changes nothing', leaving, { kind: 'reset' }, 1, 'leaving until 60000'],
  [
    'a new session ends the grace',
    reset,
    { kind: 'session', isSameAgent: true },
    9_999,
    'connected',
  ],
  ['a new session ends a loss', lost, { kind: 'session', isSameAgent: true }, 9_999, 'connected'],
  ['what is heard of the lost changes nothing', lost, { kind: 'heard' }, 1, 'lost silence'],
  [
    'a goodbye is believed',
    connected,
    { kind: 'goodbye', expectedBackMs: 60_000 },
    1_000,
    'leaving until 61000',
  ],
  [
    'up to ten minutes',
    connected,
    { kind: 'goodbye', expectedBackMs: 1e15 },
    0,
    'leaving until 600000',
  ],
  ['who said goodbye and stays away is lost', leaving, tick(), 60_000, 'lost goodbye'],
  ['who does not come back after our start is lost', absent, tick(), 15_000, 'lost absence'],
  ['and has until then', absent, tick(), 14_999, 'absent until 15000'],
]
for (const [name, state, event, nowMs, expected] of cases) {
  test(name, () => {
    const next = stepLiveness(state, event, nowMs, options)
    const detail =
      next.kind === 'lost'
        ? ` ${next.cause}`
        : 'deadlineMs' in next
          ? ` until ${next.deadlineMs}`
          : ''
    assert.equal(next.kind + detail, expected)
  })
}

function hearAfter(state: Liveness, gapsMs: readonly number[]): { state: Liveness; nowMs: number } {
  let nowMs = 0
  let next = state
  for (const gapMs of gapsMs) {
    nowMs += gapMs
    next = stepLiveness(next, { kind: 'heard' }, nowMs, options)
  }
  return { state: next, nowMs }
}

test('a node that is never later than the timeout is never lost', () => {
  const gap = fc.integer({ min: 1, max: options.heartbeatTimeoutMs })
  fc.assert(
    fc.property(fc.array(gap, { maxLength: 200 }), (gaps) => {
      let state: Liveness = connected
      let nowMs = 0
      for (const gapMs of gaps) {
        nowMs += gapMs
        state = stepLiveness(state, tick(), nowMs, options)
        state = stepLiveness(state, { kind: 'heard' }, nowMs, options)
        assert.equal(state.kind, 'connected')
      }
    }),
  )
})

test('whatever its record, silence beyond the widest limit is a loss', () => {
  const gap = fc.integer({ min: 1, max: 60_000 })
  fc.assert(
    fc.property(fc.array(gap, { maxLength: 100 }), (gaps) => {
      const { state, nowMs } = hearAfter(connectedWith(habitsOfNewcomer(500)), gaps)
      const limitMs = silenceLimitMs(state.habits, options)
      assert.ok(limitMs >= options.heartbeatTimeoutMs && limitMs <= options.heartbeatTimeoutMsMax)
      assert.equal(dueMs(state, options), nowMs + limitMs + 1)
      const after = stepLiveness(state, tick(), nowMs + options.heartbeatTimeoutMsMax + 1, options)
      assert.equal(after.kind, 'lost')
    }),
  )
})

test('reports between heartbeats do not hide that heartbeats are late', () => {
  const late = [100, 100, 1_500, 100, 100, 1_500]
  const { state } = hearAfter(connected, late)
  assert.ok(state.habits.arrivals.worstMs >= 1_000)
  assert.equal(state.habits.arrivals.losses > 1.9, true)
})

test('what waited behind a lost packet and comes with it teaches nothing twice', () => {
  const { state } = hearAfter(connected, [1_300, 0, 0, 1, 0])
  const count = state.habits.arrivals.count - habits.arrivals.count
  assert.ok(Math.abs(count) < 1, `${count}`)
})

test('the first heartbeat of a session teaches nothing, however late it is', () => {
  const greeted = stepLiveness(lost, { kind: 'session', isSameAgent: true }, 0, options)
  const welcomed = stepLiveness(greeted, { kind: 'asked', intervalMs: 500 }, 100, options)
  const first = stepLiveness(welcomed, { kind: 'heard' }, 3_000, options)
  assert.deepEqual(first.habits, habits)
  const second = stepLiveness(first, { kind: 'heard' }, 4_500, options)
  assert.ok(second.habits.arrivals.worstMs >= 1_000)
})

test('what was learnt survives a loss and a reset', () => {
  const gone = stepLiveness(connected, tick(), 5_000, options)
  const back = stepLiveness(gone, { kind: 'session', isSameAgent: true }, 60_000, options)
  assert.deepEqual(back.habits, habits)
})

test('a return after a reset is remembered, also one that came after the verdict', () => {
  const verdict = stepLiveness(reset, tick(), 300, options)
  const back = stepLiveness(verdict, { kind: 'session', isSameAgent: true }, 900, options)
  assert.equal(back.habits.returns.count, 1)
  assert.equal(back.habits.returns.worstMs, 900)
})

test('that of an agent which was killed and started anew says nothing of the link', () => {
  const back = stepLiveness(reset, { kind: 'session', isSameAgent: false }, 200, options)
  assert.deepEqual(back.habits, reset.habits)
})

test('a node whose interval is lengthened is not judged by the old one', () => {
  const asked = stepLiveness(connected, { kind: 'asked', intervalMs: 5_000 }, 400, options)
  assert.equal(stepLiveness(asked, tick(), 5_500, options).kind, 'connected')
})

test('only who is connected and silent is suspicious', () => {
  assert.equal(suspicionNow(connected, 500), 0)
  assert.ok(suspicionNow(connected, 900) > 2)
  for (const state of [unwelcomed, reset, leaving, absent, lost, longLost(options)]) {
    assert.equal(suspicionNow(state, 900), 0)
  }
})
