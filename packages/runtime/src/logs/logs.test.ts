import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  existsSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { seededRandom, systemClock } from '@cloudless/base'
import { readLogs } from './log-reader.ts'
import { LogWriter } from './log-writer.ts'
import { OutputFollower } from './output-follower.ts'

const never = new AbortController().signal

describe('a log', () => {
  let directory: string
  const path = (name: string): string => join(directory, name)
  const limits = { logFileBytesMax: 2_000, logFilesMax: 3 }
  const lines = async (rest: object = {}): Promise<string[]> => {
    const options = { follow: false, sinceMs: 0, signal: never, ...rest }
    const found: string[] = []
    for await (const { line } of readLogs(systemClock, path('log'), options)) found.push(line)
    return found
  }
  const begin = async (): Promise<OutputFollower> => {
    for (const name of ['out', 'err']) writeFileSync(path(name), '')
    const writer = await LogWriter.begin(path('state'), path('log'), limits)
    return new OutputFollower({ stdout: path('out'), stderr: path('err') }, writer)
  }
  const resume = async (): Promise<OutputFollower> => {
    const writer = (await LogWriter.resume(path('state'), limits))!
    return new OutputFollower({ stdout: path('out'), stderr: path('err') }, writer)
  }
  const numbered = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, n) => `line ${from + n}\n`).join('')

  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'cloudless-logs-'))))
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  test('has both streams, and an unfinished line once nothing follows', async () => {
    const follower = await begin()
    appendFileSync(path('out'), 'one\ntw')
    appendFileSync(path('err'), 'problem\n')
    await follower.take()
    assert.deepEqual(await lines(), ['one', 'problem'])
    appendFileSync(path('out'), 'o\nthree')
    await follower.take()
    await follower.take(true)
    assert.deepEqual(await lines(), ['one', 'problem', 'two', 'three'])
    await follower.close()
  })

  test('has each line once, wherever its writer was killed', async () => {
    const random = seededRandom(7)
    let written = 0
    let follower = await begin()
    for (let round = 0; round < 40; round++) {
      const next = written + Math.floor(random.next() * 5)
      appendFileSync(path('out'), numbered(written, next))
      written = next
      const stateBefore = readFileSync(path('state'))
      await follower.take()
      if (random.next() < 0.5) {
        await follower.close()
        // Killed after the lines were written and before the state was, except where the log was rotated meanwhile.
        const before = JSON.parse(stateBefore.toString()) as { inode: number }
        const after = JSON.parse(readFileSync(path('state'), 'utf8')) as { inode: number }
        if (before.inode === after.inode) writeFileSync(path('state'), stateBefore)
        follower = await resume()
      }
    }
    await follower.take()
    await follower.close()
    const found = await lines()
    const first = Number(found[0]!.split(' ')[1])
    assert.deepEqual(`${found.join('\n')}\n`, numbered(first, written))
  })

  test('is rotated by size and keeps the newest files', async () => {
    const follower = await begin()
    for (let n = 0; n < 200; n++) {
      appendFileSync(path('out'), `line ${n}\n`)
      await follower.take()
    }
    await follower.close()
    assert.ok(existsSync(path('log.2')) && !existsSync(path('log.3')))
    for (const name of ['log', 'log.1', 'log.2'])
      assert.ok(readFileSync(path(name)).length <= 2_000)
    const found = await lines()
    assert.equal(found.at(-1), 'line 199')
    assert.ok(found.length > 80 && found.length < 200)
    assert.deepEqual(await lines({ tailLines: 70 }), found.slice(-70), 'the tail spans files')
    assert.deepEqual(await lines({ tailLines: 1 }), ['line 199'])
    assert.deepEqual(await lines({ tailLines: 0 }), [])
    assert.deepEqual(await lines({ tailLines: 10_000 }), found)
    assert.deepEqual(await lines({ sinceMs: systemClock.wallMs() + 60_000 }), [])
  })

  test('is followed across rotation, from before it exists', async () => {
    const stop = new AbortController()
    const found: string[] = []
    const following = (async () => {
      const options = { follow: true, sinceMs: 0, signal: stop.signal }
      for await (const { line } of readLogs(systemClock, path('log'), options)) {
        found.push(line)
        if (line === 'line 99') stop.abort()
      }
    })()
    const follower = await begin()
    for (let n = 0; n < 100; n++) {
      appendFileSync(path('out'), `line ${n}\n`)
      await follower.take()
      // The reader keeps up: it looks every 100 ms, and three files hold more than is written meanwhile.
      while (found.length + 30 < n) await new Promise((resolve) => setImmediate(resolve))
    }
    await following
    assert.deepEqual(`${found.join('\n')}\n`, numbered(0, 100))
    await follower.close()
  })

  test('goes on after a state that a power cut has damaged', async () => {
    const follower = await begin()
    await follower.close()
    writeFileSync(path('state'), '\0\0\0')
    assert.equal(await LogWriter.resume(path('state'), limits), undefined)
    assert.deepEqual(await lines(), [])
  })
})
