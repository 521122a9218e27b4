import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RateLimiter } from './rate-limiter.ts'

function clockFrom(nowMs: number) {
  const clock = {
    nowMs,
    monotonicMs: () => clock.nowMs,
    wallMs: () => 0,
    after: () => () => undefined,
  }
  return clock
}

test('lets a burst through, then the rate, and says how long to wait', () => {
  const clock = clockFrom(0)
  const limiter = new RateLimiter(clock, { perSecond: 10, burst: 5 })
  for (let n = 0; n < 5; n++) assert.equal(limiter.take('a'), 0)
  assert.equal(limiter.take('a'), 100)
  assert.equal(limiter.take('b'), 0, 'clients do not share')
  clock.nowMs = 50
  assert.equal(limiter.take('a'), 50)
  clock.nowMs = 100
  assert.equal(limiter.take('a'), 0)
  clock.nowMs = 100_000
  for (let n = 0; n < 5; n++) assert.equal(limiter.take('a'), 0)
  assert.notEqual(limiter.take('a'), 0, 'time away saves no more than a burst')
})

test('remembers a bounded number of clients, the newest', () => {
  const limiter = new RateLimiter(clockFrom(0), { perSecond: 1, burst: 1, clientsMax: 2 })
  assert.equal(limiter.take('a'), 0)
  assert.equal(limiter.take('b'), 0)
  assert.notEqual(limiter.take('a'), 0)
  assert.equal(limiter.take('c'), 0) // b, idle longest, is forgotten
  assert.notEqual(limiter.take('a'), 0)
  assert.equal(limiter.take('b'), 0)
})

test('never lets more through than the burst and the rate allow', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(500), { maxLength: 200 }), (waits) => {
      const clock = clockFrom(0)
      const limiter = new RateLimiter(clock, { perSecond: 20, burst: 7 })
      let allowed = 0
      for (const waitMs of waits) {
        clock.nowMs += waitMs
        if (limiter.take('a') === 0) allowed++
      }
      assert.ok(allowed <= 7 + (clock.nowMs / 1_000) * 20 + 1e-9)
    }),
  )
})
