import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { seededRandom, systemClock } from '@cloudless/base'
import { createSqliteStore } from './sqlite-store.ts'

describe('the SQLite store on a full disk', { timeout: 30_000 }, () => {
  let disk: string
  before(() => {
    disk = mkdtempSync(join(tmpdir(), 'cloudless-full-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'cloudless-test', disk])
  })
  after(() => {
    execFileSync('umount', [disk])
    rmdirSync(disk)
  })

  it('refuses writes, serves reads, and goes on by itself when there is space again', async () => {
    const deps = { clock: systemClock, random: seededRandom(1) }
    const options = { path: join(disk, 'metadata.db') }
    let store = await createSqliteStore(deps, options)
    const value = new Uint8Array(64 * 1024)
    const put = (key: string) => store.transact({ writes: [{ kind: 'put', key, value }] })
    await put('before')
    const filler = join(disk, 'filler')
    assert.throws(() => writeFileSync(filler, new Uint8Array(8 * 1024 * 1024)), { code: 'ENOSPC' })

    const refused = { code: 'resource_exhausted', message: /nothing was written/ }
    await assert.rejects(put('during'), refused)
    await assert.rejects(put('during'), refused)
    assert.equal(await store.get('during'), undefined)
    assert.deepEqual((await store.get('before'))?.value, value)

    rmSync(filler)
    await put('after')
    await store.close()
    store = await createSqliteStore(deps, options)
    const { entries, revision } = await store.list('')
    assert.deepEqual(
      entries.map((entry) => entry.key),
      ['after', 'before'],
    )
    assert.equal(revision, 2)
    await store.close()
  })
})
