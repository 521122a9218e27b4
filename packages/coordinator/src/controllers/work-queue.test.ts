import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@cloudless/base'
import { FakeClock } from '../testing/fake-clock.ts'
import { WorkQueue } from './work-queue.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function open(work: (key: string) => Promise<number | undefined | void>) {
  const clock = new FakeClock()
  const errors: string[] = []
  const queue = new WorkQueue({
    clock,
    random: seededRandom(1),
    work,
    onError: (key) => errors.push(key),
  })
  return { clock, errors, queue }
}

/** Work that ends when it is told to. */
function gated() {
  const begun: string[] = []
  const ends: (() => void)[] = []
  return {
    begun,
    ends,
    work: (key: string) => {
      begun.push(key)
      return new Promise<void>((resolve) => ends.push(resolve))
    },
  }
}

test('what is added many times at once is looked at once', async () => {
  const { begun, work, ends } = gated()
  const { queue } = open(work)
  for (let n = 0; n < 5; n++) queue.add('a')
  await turn()
  assert.deepEqual(begun, ['a'])
  ends[0]!()
})

test('what is added while it is looked at is looked at once more, never twice at a time', async () => {
  const { begun, ends, work } = gated()
  const { queue } = open(work)
  queue.add('a')
  await turn()
  for (let n = 0; n < 5; n++) queue.add('a')
  await turn()
  assert.equal(begun.length, 1)
  ends[0]!()
  await turn()
  assert.equal(begun.length, 2)
  ends[1]!()
  await turn()
  assert.equal(begun.length, 2)
})

test('at most sixteen are looked at side by side, and all in the end', async () => {
  const { begun, ends, work } = gated()
  const { queue } = open(work)
  for (let n = 0; n < 40; n++) queue.add(`k${n}`)
  await turn()
  assert.equal(begun.length, 16)
  assert.equal(queue.depth, 40)
  for (let n = 0; n < 40; n++) {
    ends[n]!()
    await turn()
  }
  assert.equal(new Set(begun).size, 40)
  assert.equal(queue.depth, 0)
})

test('a look that fails is repeated, later and later, until it succeeds', async () => {
  let tries = 0
  const { clock, errors, queue } = open(() => {
    tries += 1
    return tries < 4 ? Promise.reject(new Error('not yet')) : Promise.resolve()
  })
  queue.add('a')
  await turn()
  assert.equal(tries, 1)
  await clock.pass(100)
  assert.equal(tries, 2)
  await clock.pass(2_000)
  assert.equal(tries, 4)
  assert.deepEqual(errors, ['a', 'a', 'a'])
  await clock.pass(60_000, 1_000)
  assert.equal(tries, 4)
})

test('a look may ask for another', async () => {
  let looks = 0
  const { clock, queue } = open(() => Promise.resolve(++looks < 3 ? 1_000 : undefined))
  queue.add('a')
  await clock.pass(900)
  assert.equal(looks, 1)
  await clock.pass(10_000, 500)
  assert.equal(looks, 3)
})

test('close waits for what is under way and starts nothing more', async () => {
  const { begun, ends, work } = gated()
  const { clock, queue } = open(work)
  queue.add('a')
  queue.addAfter('b', 10)
  await turn()
  queue.add('a')
  let closed = false
  void queue.close().then(() => (closed = true))
  await clock.pass(100)
  assert.equal(closed, false)
  ends[0]!()
  await turn()
  assert.equal(closed, true)
  queue.add('c')
  await clock.pass(100)
  assert.deepEqual(begun, ['a'])
  assert.equal(clock.timerCount, 0)
})
