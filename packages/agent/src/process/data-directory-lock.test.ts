import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { lockDataDirectory } from './data-directory-lock.ts'

let directory: string

/** One directory for all tests. */
function withDirectory(): void {
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cloudless-lock-'))
  })
  after(() => rmSync(directory, { recursive: true, force: true }))
}

describe('the lock on a data directory', () => {
  withDirectory()

  it('is held by one, whatever path the other names, and free again afterwards', async () => {
    const data = join(directory, 'data')
    const lock = await lockDataDirectory(data)
    const alias = join(directory, 'alias')
    symlinkSync(data, alias)
    for (const path of [data, alias]) {
      await assert.rejects(lockDataDirectory(path), {
        code: 'failed_precondition',
        message: /another agent is running with it/,
      })
    }
    await new Promise((resolve) => lock.close(resolve))
    const next = await lockDataDirectory(data)
    next.close()
  })

  it('of another directory is another', async () => {
    const locks = [
      await lockDataDirectory(join(directory, 'one')),
      await lockDataDirectory(join(directory, 'two')),
    ]
    for (const lock of locks) lock.close()
  })
})
