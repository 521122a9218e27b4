import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HealthCheckSchema } from '@cloudless/api'
import fc from 'fast-check'
import { newProbe, probeSettings, stepProbe, type ProbeKind } from './probe-state.ts'

const check = (init = {}) => create(HealthCheckSchema, init)

/** Plays results, each one period or ramp delay after the other; "+" passes. */
function play(kind: ProbeKind, results: string, init = {}, passedBefore = false) {
  const settings = probeSettings(kind, check({ periodMs: 1_000n, ...init }))
  let state = newProbe(kind, passedBefore)
  let nowMs = 0
  let exhausted = 0
  const delays: number[] = []
  for (const result of results) {
    const step = stepProbe(settings, state, result === '+', nowMs)
    state = step.state
    exhausted += step.exhausted ? 1 : 0
    delays.push(Math.round(step.delayMs))
    nowMs += step.delayMs
  }
  return { state, exhausted, delays }
}

describe('a probe', () => {
  it('has the defaults of the contract', () => {
    const { initialDelayMs, periodMs, timeoutMs, successThreshold, failureThreshold } =
      probeSettings('liveness', check())
    assert.deepEqual(
      [initialDelayMs, periodMs, timeoutMs, successThreshold, failureThreshold],
      [10_000, 10_000, 3_000, 1, 3],
    )
    assert.equal(probeSettings('liveness', check({ initialDelayMs: 0n })).initialDelayMs, 0)
  })

  const table = [
    { kind: 'liveness', results: '', passing: true, exhausted: 0 },
    { kind: 'liveness', results: '--', passing: true, exhausted: 0 },
    { kind: 'liveness', results: '---', passing: false, exhausted: 1 },
    { kind: 'liveness', results: '--+--', passing: true, exhausted: 0 },
    { kind: 'liveness', results: '------', passing: false, exhausted: 2 },
    { kind: 'readiness', results: '', passing: false, exhausted: 0 },
    { kind: 'readiness', results: '+', passing: true, exhausted: 0 },
    { kind: 'readiness', results: '+--', passing: true, exhausted: 0 },
    { kind: 'readiness', results: '+---', passing: false, exhausted: 1 },
    { kind: 'readiness', results: '+---+', passing: true, exhausted: 1 },
  ] as const
  for (const { kind, results, passing, exhausted } of table) {
    it(`${kind} after "${results}" ${passing ? 'passes' : 'does not pass'}`, () => {
      const played = play(kind, results)
      assert.equal(played.state.passing, passing)
      assert.equal(played.exhausted, exhausted)
    })
  }

  it('needs as many successes in a row as it says', () => {
    assert.equal(play('readiness', '+-+', { successThreshold: 2 }).state.passing, false)
    assert.equal(play('readiness', '+-++', { successThreshold: 2 }).state.passing, true)
  })

  it('is asked often until it has passed once, then every period', () => {
    const { delays } = play('readiness', '---------+')
    assert.deepEqual(delays.slice(0, 3), [100, 150, 225])
    assert.deepEqual(delays.slice(-2), [1_000, 1_000])
    assert.deepEqual(play('readiness', '-', {}, true).delays, [1_000])
    assert.deepEqual(play('liveness', '-').delays, [1_000])
  })

  it('of startup is not exhausted earlier for being asked often', () => {
    // Seven tries of the ramp lie within less than three periods.
    assert.equal(play('startup', '-------').exhausted, 0)
    assert.equal(play('startup', '--------').exhausted, 1)
  })

  it('never passes on failures nor is exhausted by successes', () => {
    const results = fc.string({ unit: fc.constantFrom('+', '-'), maxLength: 50 })
    fc.assert(
      fc.property(results, fc.integer({ min: 1, max: 5 }), (script, failureThreshold) => {
        const { state, exhausted } = play('readiness', script, { failureThreshold })
        const failures = script.split('-').length - 1
        assert.ok(exhausted * failureThreshold <= failures)
        if (!script.includes('+')) assert.equal(state.passing, false)
        if (script.endsWith('+')) assert.equal(state.failuresInRow, 0)
      }),
    )
  })
})
