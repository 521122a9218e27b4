import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { FakeClock } from '../testing/fake-clock.ts'
import {
  askedForMax,
  beginHistory,
  lullMsMin,
  lullOf,
  noteAskedFor,
  sameLull,
  stabilized,
  type AskedFor,
  type ScaleHistory,
} from './scale-history.ts'

const windows = { upMs: 30_000, downMs: 300_000 }

/** After asking at each time, begun at 0 with this many. */
function after(current: number, asked: readonly AskedFor[], within = windows): ScaleHistory {
  return asked.reduce(
    (history, { atMs, replicas }) => noteAskedFor(history, replicas, within, atMs),
    beginHistory([], current, new FakeClock()),
  )
}

function at(atMs: number, replicas: number): AskedFor {
  return { atMs, replicas }
}

describe('the windows', () => {
  it('let it shrink only as far as was asked for during all of the time', () => {
    const asked = [at(10_000, 6), at(20_000, 3), at(319_000, 2)]
    const history = after(8, asked)
    assert.equal(stabilized(history, 8, windows, 319_000), 3)
  })

  it('let it grow only as far as was asked for during all of the time', () => {
    const asked = [at(100_000, 9), at(110_000, 7), at(120_000, 12)]
    assert.equal(stabilized(after(5, asked), 5, windows, 120_000), 7)
  })

  it('of no length let it follow at once', () => {
    const none = { upMs: 0, downMs: 0 }
    const history = after(5, [at(10, 9), at(20, 2)], none)
    assert.equal(stabilized(history, 5, none, 20), 2)
    assert.equal(stabilized(noteAskedFor(history, 11, none, 30), 2, none, 30), 11)
  })

  it('hold still at first, when nothing is known of the time before', () => {
    const history = after(5, [at(10_000, 9)])
    assert.equal(stabilized(history, 5, windows, 10_000), 5)
    assert.equal(stabilized(after(5, [at(10_000, 2)]), 5, windows, 10_000), 5)
  })

  it('decide as if everything asked for were remembered', () => {
    const times = fc.array(
      fc.record({
        waitMs: fc.integer({ min: 1, max: 60_000 }),
        replicas: fc.integer({ min: 0, max: 30 }),
      }),
      { minLength: 1, maxLength: 80 },
    )
    const window = fc.integer({ min: 0, max: 200_000 })
    fc.assert(
      fc.property(times, window, window, (steps, upMs, downMs) => {
        const within = { upMs, downMs }
        let history = beginHistory([], 10, new FakeClock())
        const all: AskedFor[] = [at(0, 10)]
        let nowMs = 0
        for (const { waitMs, replicas } of steps) {
          nowMs += waitMs
          all.push(at(nowMs, replicas))
          history = noteAskedFor(history, replicas, within, nowMs)
        }
        const during = (windowMs: number): number[] => [
          all.at(-1)!.replicas,
          ...all.filter((one) => nowMs - one.atMs < windowMs).map((one) => one.replicas),
        ]
        const least = Math.min(...during(upMs))
        const most = Math.max(...during(downMs))
        const expected = Math.min(Math.max(10, least), most)
        // As long as nothing is known of the beginning of the window it does not grow.
        assert.equal(
          stabilized(history, 10, within, nowMs),
          nowMs < upMs ? Math.min(expected, 10) : expected,
        )
      }),
    )
  })

  it('remember a bounded number, and rather hold back for longer', () => {
    const falling = Array.from({ length: 500 }, (_, n) => at(n * 100, 1_000 - n))
    const history = after(1_000, falling)
    assert.equal(history.most.length, askedForMax)
    assert.equal(stabilized(history, 1_000, windows, 49_900), 1_000)
  })
})

describe('a lull', () => {
  /** Asks for so many every ten seconds, until the clock has gone on by so much. */
  function ask(clock: FakeClock, before: ScaleHistory, replicas: number, forMs: number) {
    let history = before
    for (let leftMs = forMs; leftMs > 0; leftMs -= 10_000) {
      clock.advance(10_000)
      history = noteAskedFor(history, replicas, windows, clock.monotonicMs())
    }
    return history
  }

  it('is on record after a while, and is gone when as many are asked for again', () => {
    const clock = new FakeClock()
    let history = ask(clock, beginHistory([], 5, clock), 2, lullMsMin - 10_000)
    assert.deepEqual(lullOf(history, 5, clock), [])
    history = ask(clock, history, 3, 10_000)
    const lull = lullOf(history, 5, clock)
    assert.deepEqual(
      lull.map(({ atMs, replicas }) => [Number(atMs) - clock.wallMs(), replicas]),
      [
        [-lullMsMin, 5],
        [0, 3],
      ],
    )
    assert.ok(sameLull(lull, lullOf(ask(clock, history, 3, 50_000), 5, clock)))
    assert.ok(!sameLull(lull, lullOf(ask(clock, history, 4, 10_000), 5, clock)))
    assert.deepEqual(lullOf(ask(clock, history, 6, 10_000), 5, clock), [])
  })

  it('goes on after a restart, so that shrinking is not put off for ever', () => {
    const clock = new FakeClock()
    const history = ask(clock, beginHistory([], 5, clock), 2, 200_000)
    const recorded = lullOf(history, 5, clock)
    clock.advance(20_000)
    const again = ask(clock, beginHistory(recorded, 5, clock), 2, 70_000)
    assert.equal(stabilized(again, 5, windows, clock.monotonicMs()), 5)
    const later = ask(clock, again, 2, 10_000)
    assert.equal(stabilized(later, 5, windows, clock.monotonicMs()), 2)
  })

  it('without a record begins anew with a restart', () => {
    const clock = new FakeClock()
    clock.advance(1_000_000)
    const again = ask(clock, beginHistory([], 5, clock), 2, 290_000)
    assert.equal(stabilized(again, 5, windows, clock.monotonicMs()), 5)
  })

  it('on record from a time to come, as when the clock was set back, begins now', () => {
    const clock = new FakeClock()
    const recorded = lullOf(ask(clock, beginHistory([], 5, clock), 2, 100_000), 5, clock)
    const setBack = new FakeClock(clock.wallMs() - 86_400_000)
    assert.deepEqual(beginHistory(recorded, 5, setBack).most, [at(0, 5), at(0, 2)])
  })
})
