import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KeyedSerialQueue, Semaphore } from './serial-queue.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a keyed serial queue', () => {
  it('runs tasks of one key one after another, in order, and of several side by side', async () => {
    const queue = new KeyedSerialQueue()
    const log: string[] = []
    const task = (name: string) => async (): Promise<string> => {
      log.push(`${name} begins`)
      await turn()
      log.push(`${name} ends`)
      return name
    }
    const results = await Promise.all([
      queue.run('a', task('a1')),
      queue.run('a', task('a2')),
      queue.run('b', task('b1')),
    ])
    assert.deepEqual(results, ['a1', 'a2', 'b1'])
    assert.ok(log.indexOf('a1 ends') < log.indexOf('a2 begins'))
    assert.ok(log.indexOf('b1 begins') < log.indexOf('a1 ends'))
  })

  it('goes on after a task that fails, and tells only the one who gave it', async () => {
    const queue = new KeyedSerialQueue()
    const failed = queue.run('a', () => Promise.reject(new Error('no')))
    const next = queue.run('a', async () => 'done')
    await assert.rejects(failed, /no/)
    assert.equal(await next, 'done')
  })

  it('is idle when everything given so far has ended', async () => {
    const queue = new KeyedSerialQueue()
    let ended = 0
    for (const key of ['a', 'a', 'b']) void queue.run(key, () => turn().then(() => ended++))
    await queue.idle()
    assert.equal(ended, 3)
    await queue.idle()
  })
})

describe('a semaphore', () => {
  it('runs at most its limit at once, in order, also when tasks fail', async () => {
    const semaphore = new Semaphore(3)
    const began: number[] = []
    let running = 0
    let most = 0
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        semaphore.run(async () => {
          began.push(n)
          most = Math.max(most, ++running)
          await turn()
          running--
          if (n % 4 === 0) throw new Error('no')
        }),
      ),
    )
    assert.equal(most, 3)
    assert.deepEqual(
      began,
      began.toSorted((a, b) => a - b),
    )
    assert.equal(results.filter((result) => result.status === 'rejected').length, 5)
  })
})
