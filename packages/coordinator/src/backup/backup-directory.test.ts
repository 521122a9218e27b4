import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '@cloudless/base'
import { BackupDirectory, backupFileName, timeOfBackup, tooOld } from './backup-directory.ts'

const atMs = Date.UTC(2026, 10, 30, 3, 0, 5)

test('a name says whose a backup is, and of when', () => {
  const name = backupFileName('cluster-a', atMs)
  assert.equal(name, 'cluster-a-20261130T030005Z.backup')
  assert.equal(timeOfBackup(name, 'cluster-a'), atMs)
  for (const other of [
    'cluster-b-20261130T030005Z.backup',
    'cluster-a-20261130T030005Z.backup.12.0.tmp',
    'cluster-a-x-20261130T030005Z.backup',
    'cluster-a-20261399T030005Z.backup',
    'notes.txt',
  ]) {
    assert.equal(timeOfBackup(other, 'cluster-a'), undefined, other)
  }
})

test('the newest are kept, and nothing else is touched', () => {
  const days = [3, 1, 2].map((day) => backupFileName('cluster-a', Date.UTC(2026, 0, day)))
  const names = [...days, backupFileName('cluster-b', 0), 'cluster-a.notes']
  assert.deepEqual(tooOld(names, 'cluster-a', 2), [days[1]])
  assert.deepEqual(tooOld(names, 'cluster-a', 3), [])
})

function newDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'cloudless-backups-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('it writes a backup whole or not at all, and takes away what was left half written', async (t) => {
  const path = newDirectory(t)
  const directory = new BackupDirectory(join(path, 'new'), 'cluster-a')
  assert.equal(await directory.newestMs(), undefined)
  const written = await directory.write(
    atMs,
    (async function* () {
      yield Buffer.from('abc')
    })(),
  )
  assert.equal(written.fileBytes, 3)
  const failing = directory.write(
    atMs + 60_000,
    (async function* () {
      yield Buffer.from('abc')
      throw new Error('cut')
    })(),
  )
  await assert.rejects(failing, /writing the backup .*cut/)
  assert.equal(await directory.newestMs(), atMs)
  const left = join(path, 'new', `${backupFileName('cluster-a', atMs)}.1.0.tmp`)
  writeFileSync(left, 'abc')
  await directory.tidy(1, systemClock.wallMs())
  assert.equal(readdirSync(join(path, 'new')).length, 2)
  utimesSync(left, new Date(0), new Date(0))
  await directory.tidy(1, systemClock.wallMs())
  assert.deepEqual(readdirSync(join(path, 'new')), ['cluster-a-20261130T030005Z.backup'])
})
