import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { between, seededRandom, systemClock, sleep } from '@cloudless/base'
import { makeTestDirectory } from './testing.ts'

const child = fileURLToPath(new URL('./kill-child.ts', import.meta.url))

/** Runs the writer for `lifeMs` after it is ready, kills it, and returns what it had been told was written. */
async function writeUntilKilled(path: string, lifeMs: number): Promise<string[]> {
  const writer = spawn(process.execPath, [child, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const ready = Promise.withResolvers<void>()
  writer.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    if (output.includes('\n')) ready.resolve()
  })
  const closed = once(writer, 'close').then(() =>
    ready.reject(new Error('the writer ended by itself')),
  )
  const tooLate = systemClock.after(10_000, () =>
    ready.reject(new Error('the writer did not start')),
  )
  await ready.promise.finally(tooLate)
  await sleep(systemClock, lifeMs)
  writer.kill('SIGKILL')
  await closed
  // The last line may be cut in the middle: it is what the child was just saying.
  return output.split('\n').slice(1, -1)
}

describe('a store whose process is killed', { timeout: 120_000 }, () => {
  it('loses nothing it acknowledged and keeps no half transaction, at whatever moment', async () => {
    const random = seededRandom(7)
    const directory = await makeTestDirectory()
    const acknowledged: string[] = []
    try {
      for (let round = 0; round < 8; round++) {
        acknowledged.push(...(await writeUntilKilled(directory.path, between(random, 0, 150))))
        const store = await directory.open()
        const left = (await store.list('left/')).entries
        const right = (await store.list('right/')).entries
        const names = left.map((entry) => entry.key.slice('left/'.length))
        assert.deepEqual(
          right.map((entry) => entry.key.slice('right/'.length)),
          names,
        )
        assert.deepEqual(
          right.map((one) => one.modRevision),
          left.map((one) => one.modRevision),
        )
        const kept = new Set(names)
        for (const name of acknowledged)
          assert.ok(kept.has(name), `${name} was acknowledged and is gone`)
        assert.equal((await store.status()).revision, kept.size)
        await store.close()
      }
      assert.ok(acknowledged.length > 100, `only ${acknowledged.length} writes were acknowledged`)
    } finally {
      await directory.remove()
    }
  })
})
