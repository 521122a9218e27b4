import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { timersFor, widerTimers, widestOf, widestTimers } from './timers.ts'

describe('the timers of etcd', () => {
  for (const [what, fsyncMs, roundTripMs, heartbeatMs, electionMs] of [
    ['nothing measured', 0, 0, 100, 500],
    ['a fast disk on its own', 1, 0, 100, 500],
    ['fast disks in one room', 1, 0.5, 100, 500],
    ['a disk that takes 15 ms', 15, 0.5, 100, 500],
    ['a disk that takes 50 ms', 50, 0.5, 100, 1_000],
    ['wireless', 2, 15, 100, 500],
    ['two towns', 2, 50, 100, 1_000],
    ['an SD card', 100, 0.5, 100, 2_000],
    ['a continent away', 2, 150, 200, 2_000],
    ['an SD card a continent away', 100, 150, 200, 5_000],
    ['the other side of the world', 2, 350, 500, 5_000],
    ['all that is bad', 5_000, 5_000, 1_000, 10_000],
  ] as const) {
    it(`are ${heartbeatMs} and ${electionMs} ms for ${what}`, () => {
      assert.deepEqual(timersFor({ fsyncMs, roundTripMs }), { heartbeatMs, electionMs })
    })
  }

  it('are such as etcd takes, whatever was measured', () => {
    for (let fsyncMs = 0; fsyncMs < 700; fsyncMs += 7) {
      for (let roundTripMs = 0; roundTripMs < 1_500; roundTripMs += 13) {
        let timers = timersFor({ fsyncMs, roundTripMs })
        for (let wider = widerTimers(timers); wider; wider = widerTimers(timers)) timers = wider
        assert.deepEqual(timers, widestTimers)
        const { heartbeatMs, electionMs } = timersFor({ fsyncMs, roundTripMs })
        assert.ok(electionMs >= 5 * heartbeatMs && electionMs <= 50_000)
      }
    }
  })

  it('are doubled, up to a second and ten', () => {
    const narrow = { heartbeatMs: 100, electionMs: 500 }
    assert.deepEqual(widerTimers(narrow), { heartbeatMs: 200, electionMs: 1_000 })
    const uneven = { heartbeatMs: 600, electionMs: 10_000 }
    assert.deepEqual(widerTimers(uneven), widestTimers)
    assert.equal(widerTimers(widestTimers), undefined)
  })

  it('are the widest that was asked for, with five heartbeats to an election', () => {
    const slowDisk = { heartbeatMs: 100, electionMs: 3_000 }
    const farAway = { heartbeatMs: 1_000, electionMs: 2_000 }
    assert.deepEqual(widestOf(slowDisk), slowDisk)
    assert.deepEqual(widestOf(slowDisk, farAway), { heartbeatMs: 1_000, electionMs: 5_000 })
  })
})
