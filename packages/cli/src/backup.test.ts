/** Backup and recovery, as they are typed. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeIo } from './testing/fake-io.ts'
import { startHarness } from './testing/harness.ts'

const wasAsked = (calls: readonly { method: string; request: unknown }[], method: string) =>
  calls.filter((call) => call.method === method).map(({ request }) => request)

test('a backup goes into a file of its own, whole and for its owner only', async (t) => {
  const { cli, state, directory } = await startHarness(t)
  writeFileSync(join(directory, 'passphrase'), 'correct horse\nand more\n')
  const { code, out } = await cli('cluster backup --to a.backup --passphrase-file passphrase')
  assert.equal(code, 0)
  assert.match(out, /Backup: +a\.backup\n.*Revision: +42\n.*3 nodes/s)
  assert.equal(readFileSync(join(directory, 'a.backup'), 'utf8'), 'one two')
  assert.equal(statSync(join(directory, 'a.backup')).mode & 0o777, 0o600)
  assert.deepEqual(state.backupProtection, { case: 'passphrase', value: 'correct horse' })
})

test('a backup to stdout is nothing but the backup; without a name it is named for cluster and time', async (t) => {
  const { cli, directory } = await startHarness(t)
  const piped = await cli('cluster backup --to - --unencrypted')
  assert.equal(piped.out, 'one two')
  assert.match(piped.err, /warning: the backup is not encrypted.*Revision/s)
  await cli('cluster backup --unencrypted')
  assert.ok(readdirSync(directory).includes('cluster-test-20251130T030005Z.backup'))
})

test('a backup that breaks off leaves the file there was', async (t) => {
  const { cli, state, directory } = await startHarness(t)
  await cli('cluster backup --to a.backup --unencrypted')
  const before = readdirSync(directory)
  state.backupBreaksOff = true
  const { code, err } = await cli('cluster backup --to a.backup --unencrypted')
  assert.equal(code, 5)
  assert.match(err, /leads no longer/)
  await cli('cluster backup --to b.backup --unencrypted')
  assert.deepEqual(readdirSync(directory), before)
  assert.equal(readFileSync(join(directory, 'a.backup'), 'utf8'), 'one two')
})

test('a backup is protected in one way that is said', async (t) => {
  const { cli, state, directory } = await startHarness(t)
  writeFileSync(join(directory, 'key'), new Uint8Array(32))
  for (const flags of ['', '--unencrypted --encryption-key-file key']) {
    const { code, err } = await cli(`cluster backup ${flags}`)
    assert.equal(code, 2)
    assert.match(err, /holds the key of the CA/)
  }
  assert.equal((await cli('cluster backup --encryption-key-file none')).code, 3)
  assert.equal(state.backupProtection, undefined)
})

test('a recovery asks for the id of the cluster, and names who is none any more', async (t) => {
  const { cli, state } = await startHarness(t)
  const answering = (text: string): FakeIo => new FakeIo({ input: [text] })
  const unsure = await cli('cluster recover', { io: answering('yes\n') })
  assert.equal(unsure.code, 2)
  assert.match(unsure.err, /RAFT index 99.*type cluster-test/s)
  assert.deepEqual(wasAsked(state.calls, 'RecoverCoordinator'), [])
  const { code, out } = await cli('cluster recover', { io: answering('cluster-test\n') })
  assert.equal(code, 0)
  assert.match(out, /c1 is the only one now.*c2, c3/s)
  const [request] = wasAsked(state.calls, 'RecoverCoordinator') as { coordinatorId: string }[]
  assert.equal(request!.coordinatorId, 'c1')
})
