import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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
