import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { every, sleep, systemClock, within, type Clock } from './clock.ts'

/** A clock that goes only when it is told to. */
function makeClock(): Clock & { pass(ms: number): void; readonly waiting: number } {
  let nowMs = 0
  const timers = new Set<{ atMs: number; fire: () => void }>()
  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, fire) {
      const timer = { atMs: nowMs + delayMs, fire }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    get waiting() {
      return timers.size
    },
    pass(ms) {
      const untilMs = nowMs + ms
      for (;;) {
        const next = [...timers].toSorted((a, b) => a.atMs - b.atMs)[0]
        if (next === undefined || next.atMs > untilMs) break
        timers.delete(next)
        nowMs = next.atMs
        next.fire()
      }
      nowMs = untilMs
    },
  }
}

describe('waiting', () => {
  it('ends after its time', async () => {
    const clock = makeClock()
    const slept = sleep(clock, 100)
    clock.pass(99)
    assert.equal(clock.waiting, 1)
    clock.pass(1)
    await slept
  })

  it('ends with the reason of its signal, and leaves no timer', async () => {
    const clock = makeClock()
    const abort = new AbortController()
    const slept = sleep(clock, 100, abort.signal)
    abort.abort(new Error('enough'))
    await assert.rejects(slept, /enough/)
    await assert.rejects(sleep(clock, 100, abort.signal), /enough/)
    assert.equal(clock.waiting, 0)
  })

  it('repeats each period until it is stopped, also from within', () => {
    const clock = makeClock()
    let calls = 0
    const stop = every(clock, 10, () => {
      calls++
      if (calls === 3) stop()
    })
    clock.pass(9)
    assert.equal(calls, 0)
    clock.pass(1_000)
    assert.equal(calls, 3)
    assert.equal(clock.waiting, 0)
  })
})

describe('a limit', () => {
  const tooLate = () => new Error('too late')

  it('gives what comes in time, or its failure, and leaves no timer', async () => {
    const clock = makeClock()
    assert.equal(await within(clock, 10, Promise.resolve(7), tooLate), 7)
    await assert.rejects(within(clock, 10, Promise.reject(new Error('no')), tooLate), /no/)
    assert.equal(clock.waiting, 0)
  })

  it('fails what is late, whose own failure then troubles nobody', async () => {
    const clock = makeClock()
    const { promise, reject } = Promise.withResolvers<never>()
    const limited = within(clock, 10, promise, tooLate)
    clock.pass(10)
    await assert.rejects(limited, /too late/)
    reject(new Error('nobody waits for it'))
    await promise.catch(() => undefined)
  })
})

describe('the system clock', () => {
  it('fires once, in time, and not after it was cancelled', async () => {
    const startedMs = systemClock.monotonicMs()
    const cancel = systemClock.after(5, () => assert.fail('cancelled, and fired'))
    cancel()
    cancel()
    await sleep(systemClock, 20)
    assert.ok(systemClock.monotonicMs() - startedMs >= 19)
    assert.ok(systemClock.wallMs() > Date.UTC(2025, 0))
  })

  it('does not fire at once for a time longer than its timer can count', async () => {
    const cancel = systemClock.after(2 ** 32, () => assert.fail('fired at once'))
    await sleep(systemClock, 10)
    cancel()
  })
})
