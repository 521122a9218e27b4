import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { planRenewal, recheckMsMax, type RenewalInput } from './rotation.ts'

const hour = 3_600_000
const base: RenewalInput = {
  notBeforeMs: 0,
  notAfterMs: 10 * hour,
  nowMs: 0,
  heldMs: 0,
  justIssued: false,
  jitter: 0.5,
}

const table: readonly [string, Partial<RenewalInput>, 'renew' | number][] = [
  ['young: looks again after a minute', {}, recheckMsMax],
  ['shortly before its time: waits the rest', { nowMs: 6.5 * hour - 1_000 }, 1_000],
  ['at two thirds: renews', { nowMs: 6.5 * hour }, 'renew'],
  ['less jitter: earlier', { nowMs: 6 * hour, jitter: 0 }, 'renew'],
  ['more jitter: later', { nowMs: 6.9 * hour, jitter: 0.99 }, recheckMsMax],
  ['already run out: renews', { nowMs: 11 * hour }, 'renew'],
  ['clock set back: the time held counts', { nowMs: -hour, heldMs: 7 * hour }, 'renew'],
  ['clock set back: never waits longer than the recheck', { nowMs: -1e15 }, recheckMsMax],
  ['clock ahead, just issued: kept a while', { nowMs: 1e15, justIssued: true }, recheckMsMax],
  ['clock ahead, held a tenth: renews', { nowMs: 1e15, justIssued: true, heldMs: hour }, 'renew'],
  ['a life of nothing: renews', { notAfterMs: 0 }, 'renew'],
  ['a life of less than nothing: renews', { notAfterMs: -5 }, 'renew'],
  ['less than half a millisecond left: renews', { nowMs: 6.5 * hour - 0.25 }, 'renew'],
]

for (const [name, input, expected] of table) {
  test(name, () => {
    const plan = planRenewal({ ...base, ...input })
    assert.deepEqual(
      plan,
      expected === 'renew' ? { kind: 'renew' } : { kind: 'wait', delayMs: expected },
    )
  })
}

test('renews before the end by the monotonic clock alone, whatever the wall clock says', () => {
  const lifetimes = fc.integer({ min: 5_000, max: 90 * 24 * hour })
  fc.assert(
    fc.property(lifetimes, fc.nat(99), fc.integer(), (lifetimeMs, jitter, nowMs) => {
      const input = {
        notBeforeMs: -lifetimeMs / 5,
        notAfterMs: lifetimeMs,
        nowMs,
        heldMs: lifetimeMs * 0.85,
        justIssued: true,
        jitter: jitter / 100,
      }
      assert.deepEqual(planRenewal(input), { kind: 'renew' })
    }),
  )
})
