import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '@cloudless/base'
import { DeadlineTimes } from './deadline-times.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const beganAtMs = 1_800_000_000_000

/** A job of ten minutes, and clocks that show what they are set to: minutes since it began, and of this process. */
function openJob() {
  const now = { wall: 0, passed: 0 }
  const clock: Clock = {
    wallMs: () => beganAtMs + now.wall * minuteMs,
    monotonicMs: () => now.passed * minuteMs,
    after: () => () => undefined,
  }
  const job = { startedAtMs: BigInt(beganAtMs) }
  let times = new DeadlineTimes(clock)
  return {
    restart: () => (times = new DeadlineTimes(clock)),
    leftAt(passed: number, wall: number): number {
      Object.assign(now, { passed, wall })
      return times.leftMs('job', { deadlineMs: 10n * BigInt(minuteMs) }, job) / minuteMs
    },
  }
}

test('time that passes is what counts', () => {
  const { leftAt } = openJob()
  assert.deepEqual([leftAt(0, 0), leftAt(4, 4), leftAt(10, 10)], [10, 6, 0])
})

test('a clock that jumps, ahead or back, ends no job and spares none', () => {
  const { leftAt } = openJob()
  assert.deepEqual([leftAt(0, 0), leftAt(1, 61), leftAt(2, -600), leftAt(10, 61)], [10, 9, 8, 0])
})

test('after a restart the time before it counts too', () => {
  const { leftAt, restart } = openJob()
  leftAt(0, 0)
  restart()
  assert.deepEqual([leftAt(0, 7), leftAt(2, 9), leftAt(3, 10)], [3, 1, 0])
})

test('what a restart finds over time is ended after a minute, unless the clock is put right', () => {
  const late = openJob()
  assert.deepEqual([late.leftAt(0, 70), late.leftAt(1, 71)], [1, 0])
  const ahead = openJob()
  assert.deepEqual([ahead.leftAt(0, 62), ahead.leftAt(0.5, 2.5), ahead.leftAt(1, 3)], [1, 7.5, 7])
})

test('a job without a deadline has no end of time', () => {
  const times = new DeadlineTimes({
    wallMs: () => beganAtMs + hourMs,
    monotonicMs: () => 0,
    after: () => () => undefined,
  })
  assert.equal(times.leftMs('job', { deadlineMs: 0n }, undefined), Infinity)
})
