import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  livenessDefaults,
  nextDeadlineMs,
  onTime,
  silenceLimitMs,
  stepLiveness,
  type Liveness,
  type LivenessEvent,
} from './liveness.ts'

const options = livenessDefaults
const lateness = onTime
const connected: Liveness = { kind: 'connected', heardAtMs: 0, lateness }
const reset: Liveness = { kind: 'reset', deadlineMs: 300, lateness }
const leaving: Liveness = { kind: 'leaving', deadlineMs: 60_000, lateness }
const absent: Liveness = { kind: 'absent', deadlineMs: 15_000, lateness }
const lost: Liveness = { kind: 'lost', cause: 'silence', lateness }
const tick = (overdueMs = 0): LivenessEvent => ({ kind: 'tick', overdueMs })

const cases: readonly [string, Liveness, LivenessEvent, number, string][] = [
  ['silence up to the limit is borne', connected, tick(), 1_600, 'connected'],
  ['silence beyond the limit is a loss', connected, tick(), 1_601, 'lost silence'],
  ['our own lateness is not the node’s', connected, tick(5_000), 6_600, 'connected'],
  ['but the rest is', connected, tick(5_000), 6_601, 'lost silence'],
  ['a reset starts the grace', connected, { kind: 'reset' }, 1_000, 'reset until 1300'],
  ['within the grace nothing is lost', reset, tick(), 299, 'reset until 300'],
  ['after the grace it is', reset, tick(), 300, 'lost reset'],
  ['our lateness extends the grace', reset, tick(50), 320, 'reset until 350'],
  ['a reset of what is lost changes nothing', lost, { kind: 'reset' }, 1, 'lost silence'],
  ['a reset while leaving changes nothing', leaving, { kind: 'reset' }, 1, 'leaving until 60000'],
  ['a new session ends the grace', reset, { kind: 'session' }, 9_999, 'connected'],
  ['a new session ends a loss', lost, { kind: 'session' }, 9_999, 'connected'],
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

test('a node that is never later than the timeout is never lost', () => {
  const gap = fc.integer({ min: 1, max: options.heartbeatTimeoutMs })
  fc.assert(
    fc.property(fc.array(gap, { maxLength: 200 }), (gaps) => {
      let state: Liveness = connected
      let nowMs = 0
      for (const gapMs of gaps) {
        for (let tickMs = 100; tickMs < gapMs; tickMs += 100) {
          state = stepLiveness(state, tick(), nowMs + tickMs, options)
        }
        nowMs += gapMs
        state = stepLiveness(state, { kind: 'heard' }, nowMs, options)
        assert.equal(state.kind, 'connected')
      }
    }),
  )
})

test('whatever its record, silence beyond the widest limit is a loss', () => {
  const gap = fc.integer({ min: 500, max: 15_000 })
  fc.assert(
    fc.property(fc.array(gap, { maxLength: 100 }), (gaps) => {
      let state: Liveness = connected
      let nowMs = 0
      for (const gapMs of gaps) {
        nowMs += gapMs
        state = stepLiveness(state, { kind: 'heard' }, nowMs, options)
      }
      const limitMs = silenceLimitMs(state.lateness, options)
      assert.ok(limitMs >= options.heartbeatTimeoutMs && limitMs <= options.heartbeatTimeoutMsMax)
      assert.equal(nextDeadlineMs(state, options), nowMs + limitMs)
      const after = stepLiveness(state, tick(), nowMs + options.heartbeatTimeoutMsMax + 1, options)
      assert.equal(after.kind, 'lost')
    }),
  )
})

test('the limit widens for a node that is often late, and narrows again', () => {
  let state: Liveness = connected
  let nowMs = 0
  const hear = (gapMs: number): void => {
    nowMs += gapMs
    state = stepLiveness(state, { kind: 'heard' }, nowMs, options)
  }
  for (let n = 0; n < 100; n++) hear(n % 2 === 0 ? 1_000 : 1_550)
  const wideMs = silenceLimitMs(state.lateness, options)
  assert.ok(wideMs > 2_000, `${wideMs}`)
  for (let n = 0; n < 200; n++) hear(1_000)
  assert.equal(silenceLimitMs(state.lateness, options), options.heartbeatTimeoutMs)
})

test('reports between heartbeats do not hide that heartbeats are late', () => {
  let state: Liveness = connected
  for (let nowMs = 100; nowMs <= 5_000; nowMs += 100) {
    state = stepLiveness(state, { kind: 'heard' }, nowMs, options)
  }
  assert.deepEqual(state.lateness, onTime)
})
