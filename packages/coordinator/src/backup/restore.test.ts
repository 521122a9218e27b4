import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { WorkloadSchema } from '@cloudless/api'
import { loadConfiguration, systemClock, systemRandom } from '@cloudless/base'
import { createSqliteStore, takeOwnership } from '@cloudless/metadata'
import { createLogger } from '@cloudless/observability'
import { metadataPathOf } from '../process/data-directory.ts'
import { coordinatorSettings, type CoordinatorSettings } from '../process/settings.ts'
import { cleanUp } from '../testing/cluster.ts'
import { runCoordinatorHere, type RunningCoordinator } from '../testing/running-coordinator.ts'
import type { BackupSecret } from './backup-secret.ts'
import { checkBackup } from './read-backup.ts'
import { restore } from './restore.ts'
import { requireNoUnfinishedRestore } from './unfinished-restore.ts'

const secret: BackupSecret = { kind: 'key', key: new Uint8Array(32).fill(9) }

function newDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-restore-'))
  cleanUp(t, () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function settingsOf(...args: string[]): CoordinatorSettings {
  const result = loadConfiguration(coordinatorSettings, { args, env: {}, readFile: () => ({}) })
  if (result.kind === 'ok') return result.values
  throw new Error(JSON.stringify(result))
}

const deps = {
  clock: systemClock,
  random: systemRandom,
  logger: createLogger({ name: 'test', level: 'fatal' }),
}

async function backUp(t: TestContext, coordinator: RunningCoordinator): Promise<string> {
  const path = join(newDirectory(t), 'a.backup')
  const parts: Uint8Array[] = []
  let isWhole = false
  const protection = { case: 'key' as const, value: (secret as { key: Uint8Array }).key }
  for await (const { message } of coordinator.client.backupCluster({ protection })) {
    if (message.case === 'data') parts.push(message.value)
    if (message.case === 'done') isWhole = true
  }
  assert.ok(isWhole)
  writeFileSync(path, Buffer.concat(parts))
  return path
}

function restoreInto(directory: string, from: string, ...flags: string[]) {
  return restore(deps, { from, secret, settings: settingsOf('--data-dir', directory, ...flags) })
}

const workloadNamed = (name: string) =>
  create(WorkloadSchema, {
    name,
    spec: {
      image: 'web:1',
      resources: { requests: { cpuMillicores: 100, memoryBytes: 1_048_576n } },
      replicas: 2,
    },
  })

test('what was backed up while it ran is served again from a new directory', async (t) => {
  const before = await runCoordinatorHere(t)
  await before.client.createWorkload({ workload: workloadNamed('web') })
  const token = await before.client.createJoinToken({ ttlMs: 3_600_000n })
  const { clusterId, caFingerprint } = await before.client.getClusterStatus({})
  const from = await backUp(t, before)
  const [made] = (await before.client.listEvents({ filter: { types: ['backup.made'] } })).events
  assert.equal(made!.actorId, 'test')
  await before.client.createWorkload({ workload: workloadNamed('later') })
  await before.stop()

  const directory = join(newDirectory(t), 'data')
  const { summary } = await restoreInto(directory, from)
  assert.equal(summary.byKind['workloads'], 1)
  assert.deepEqual(readdirSync(directory).toSorted(), ['ca', 'metadata.db', 'metadata.db.lock'])
  assert.equal(statSync(join(directory, 'ca', 'ca.key')).mode & 0o777, 0o600)
  assert.equal(statSync(directory).mode & 0o777, 0o700)

  const after = await runCoordinatorHere(t, { dataDirectory: directory })
  const status = await after.client.getClusterStatus({})
  assert.deepEqual([status.clusterId, status.caFingerprint], [clusterId, caFingerprint])
  assert.ok(status.restored!.backupAtMs < status.restored!.restoredAtMs)
  const { workloads } = await after.client.listWorkloads({})
  assert.deepEqual(
    workloads.map(({ name }) => name),
    ['web'],
  )
  const { joinTokens } = await after.client.listJoinTokens({})
  assert.deepEqual(
    joinTokens.map(({ id }) => id),
    [token.joinToken!.id],
  )
  const { events } = await after.client.listEvents({
    filter: { types: ['cluster.restored', 'backup.made'] },
  })
  assert.deepEqual(
    events.map(({ type }) => type),
    ['cluster.restored'],
  )
})

test('a restore that was killed is nothing to start from, and is begun anew', async (t) => {
  const before = await runCoordinatorHere(t)
  const from = await backUp(t, before)
  const directory = newDirectory(t)
  // As one leaves it that is killed in the middle: the mark, a CA, and some metadata.
  writeFileSync(join(directory, 'RESTORE-UNFINISHED'), '')
  mkdirSync(join(directory, 'ca'))
  writeFileSync(join(directory, 'ca', 'ca.key'), 'another')
  const store = await createSqliteStore(deps, { path: metadataPathOf(directory) })
  await store.transact({ writes: [{ kind: 'put', key: 'nodes/x', value: Buffer.of(1) }] })
  await store.close()
  assert.throws(() => requireNoUnfinishedRestore(directory), { code: 'failed_precondition' })
  await assert.rejects(runCoordinatorHere(t, { dataDirectory: directory }), /did not end/)

  await restoreInto(directory, from)
  const after = await runCoordinatorHere(t, { dataDirectory: directory })
  assert.deepEqual((await after.client.listNodes({})).nodes, [])
})

test('a directory that holds anything, or that another restore works in, is left alone', async (t) => {
  const before = await runCoordinatorHere(t)
  const from = await backUp(t, before)
  await assert.rejects(restoreInto(before.dataDirectory, from), {
    code: 'failed_precondition',
    message: /not empty/,
  })
  await before.client.listNodes({})
  const directory = newDirectory(t)
  const release = takeOwnership(join(directory, 'restore'))
  try {
    await assert.rejects(restoreInto(directory, from), { message: /another restore/ })
  } finally {
    release()
  }
  await restoreInto(directory, from)
})

test('a file that cannot be read leaves the directory as it was', async (t) => {
  const before = await runCoordinatorHere(t)
  const from = await backUp(t, before)
  const directory = newDirectory(t)
  const settings = settingsOf('--data-dir', directory)
  const other: BackupSecret = { kind: 'key', key: new Uint8Array(32) }
  await assert.rejects(restore(deps, { from, secret: other, settings }), {
    code: 'invalid_argument',
    message: /a\.backup: this is not the key/,
  })
  await assert.rejects(restoreInto(directory, join(directory, 'none')), { code: 'not_found' })
  await assert.rejects(restoreInto(directory, from, '--tls-trust-domain', 'other'), {
    message: /--tls-trust-domain cloudless/,
  })
  assert.deepEqual(readdirSync(directory), [])
})

test('a backup without protection is made only for who says so', async (t) => {
  const { client } = await runCoordinatorHere(t)
  const ask = async (protection: Parameters<typeof client.backupCluster>[0]['protection']) => {
    for await (const { message } of client.backupCluster({ ...(protection && { protection }) })) {
      if (message.case === 'done') return message.value
    }
    return undefined
  }
  const isRefused = { rawMessage: /protection|passphrase|bytes/ }
  await assert.rejects(ask(undefined), isRefused)
  await assert.rejects(ask({ case: 'unencrypted', value: false }), isRefused)
  await assert.rejects(ask({ case: 'passphrase', value: 'short' }), isRefused)
  await assert.rejects(ask({ case: 'key', value: new Uint8Array(16) }), isRefused)
  assert.ok((await ask({ case: 'unencrypted', value: true }))!.entries > 0n)
})

test('a backup that was due while it did not run is made when it does', async (t) => {
  const first = await runCoordinatorHere(t)
  const { clusterId } = await first.client.getClusterStatus({})
  await first.stop()
  const directory = newDirectory(t)
  const passphraseFile = join(directory, 'passphrase')
  writeFileSync(passphraseFile, 'correct horse\n')
  const old = [1, 2].map((day) => `${clusterId}-2020010${day}T000000Z.backup`)
  for (const name of old) writeFileSync(join(directory, name), '')
  const coordinator = await runCoordinatorHere(t, {
    dataDirectory: first.dataDirectory,
    flags: [
      ...['--backup-schedule', '0 3 * * *', '--backup-directory', directory],
      ...['--backup-keep', '2', '--backup-passphrase-file', passphraseFile],
    ],
  })
  const filter = { types: ['backup.made'] }
  for await (const event of coordinator.client.watchEvents({ filter, tail: 10 })) {
    assert.match(event.description, /a backup of revision \d+ is in .*: \d+ entries/)
    break
  }
  await coordinator.stop()
  const [oldest, newest] = readdirSync(directory).filter((name) => name.endsWith('.backup'))
  assert.equal(oldest, old[1])
  const passphrase = { kind: 'passphrase', passphrase: 'correct horse' } as const
  const { manifest } = await checkBackup(join(directory, newest!), passphrase)
  assert.equal(manifest.clusterId, clusterId)
  await assert.rejects(
    runCoordinatorHere(t, { flags: ['--backup-schedule', '0 3 * * *'] }),
    /backup\.directory/,
  )
})
