import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../testing/fake-clock.ts'
import { giveMemoryBack } from './idle-memory.ts'

const mebibyte = 2 ** 20

function processWith(busyShare: number, youngMiB: number, usedMiB: number) {
  const memory = {
    collections: 0,
    youngMiB,
    busyShare: () => busyShare,
    youngBytes: () => memory.youngMiB * mebibyte,
    usedBytes: () => usedMiB * mebibyte,
    collect() {
      memory.collections++
      memory.youngMiB = 0
    },
  }
  return memory
}

for (const { busyShare, young, used, collections, why } of [
  { busyShare: 0.01, young: 30, used: 30, collections: 1, why: 'it is calm and much is held' },
  { busyShare: 0.5, young: 30, used: 30, collections: 0, why: 'there is work' },
  { busyShare: 0.01, young: 8, used: 30, collections: 0, why: 'little is held' },
  { busyShare: 0.01, young: 30, used: 128, collections: 0, why: 'it would take too long' },
]) {
  test(`memory is given back ${collections} times in a minute when ${why}`, () => {
    const clock = new FakeClock()
    const memory = processWith(busyShare, young, used)
    const stop = giveMemoryBack(clock, memory)
    clock.advance(60_000)
    assert.equal(memory.collections, collections)
    stop()
    assert.equal(clock.timerCount, 0)
  })
}

test('what the next burst leaves behind is given back as well', () => {
  const clock = new FakeClock()
  const memory = processWith(0.01, 30, 30)
  const stop = giveMemoryBack(clock, memory)
  clock.advance(30_000)
  memory.youngMiB = 20
  clock.advance(30_000)
  stop()
  assert.equal(memory.collections, 2)
})
