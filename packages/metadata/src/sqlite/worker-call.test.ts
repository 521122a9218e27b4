import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@cloudless/base'
import { startWorker } from './worker-call.ts'

const dying = new URL(
  'data:text/javascript,' +
    encodeURIComponent(
      `import { parentPort } from 'node:worker_threads'
       parentPort.on('message', ({ id, body }) => {
         if (body === 'die') throw new Error('struck by lightning')
         if (body === 'answer') parentPort.postMessage({ id, body: 42 })
       })`,
    ),
)

describe('calls to a worker that is faster than its caller', () => {
  it('leave the event loop a turn after each answer', async () => {
    const worker = startWorker(dying, undefined, () => undefined)
    await worker.call('answer')
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    for (let n = 0; n < 100; n++) {
      const call = worker.call('answer')
      const untilMs = systemClock.monotonicMs() + 2
      while (systemClock.monotonicMs() < untilMs); // Meanwhile the answer has come.
      await call
    }
    counting = false
    assert.ok(turns >= 100, `the event loop turned ${turns} times in 100 calls`)
    await worker.close()
  })
})

describe('calls to a worker that dies', { timeout: 20_000 }, () => {
  it('end as unknown, not as failed, when they had no answer; later ones are refused', async () => {
    const deaths: string[] = []
    const worker = startWorker(dying, undefined, (reason) => deaths.push(reason.message))
    assert.equal(await worker.call('answer'), 42)
    const unanswered = assert.rejects(worker.call('wait'), {
      code: 'unavailable',
      details: { outcome: 'unknown' },
      message: /restart the coordinator/,
    })
    await assert.rejects(worker.call('die'), { code: 'unavailable' })
    await unanswered
    await assert.rejects(worker.call('answer'), { code: 'unavailable' })
    assert.equal(deaths.length, 1)
    await worker.close()
  })
})
