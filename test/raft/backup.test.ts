/** Backups of a cluster with one coordinator, and what comes back from them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  cleanEnvironment,
  coordinatorProgram,
  createSmallDisk,
  replicasOf,
  runCommand,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  type Cluster,
  type CommandResult,
} from '@cloudless/test/testkit'

const prefix = 'tback'
let cluster: Cluster
let passphraseFile: string

before(async () => {
  cluster = await startCluster({
    prefix,
    subnet: '10.80.36',
    agents: [{ name: 'a', cpuCores: 2, memoryMb: 1024 }],
  })
  passphraseFile = join(cluster.directory, 'passphrase')
  writeFileSync(passphraseFile, 'a quiet passphrase\n', { mode: 0o600 })
})

after(() => cluster?.stop())

function backUp(to: string): Promise<CommandResult> {
  const options = ['--to', to, '--passphrase-file', passphraseFile]
  return cluster.ctl.run(['cluster', 'backup', ...options])
}

const restoreCommand = (from: string, directory: string): string[] => [
  ...[coordinatorProgram, 'restore', '--from', from, '--data-dir', directory],
  ...['--passphrase-file', passphraseFile],
]

function restore(from: string, directory: string, ...more: string[]): Promise<CommandResult> {
  const options = ['--data-dir', directory, '--passphrase-file', passphraseFile, ...more]
  return cluster.ctl.run(['cluster', 'restore', from, ...options])
}

const dataDirectory = (): string => join(cluster.directory, 'coordinator')

/** The disk of the coordinator is lost. */
async function loseCoordinator(): Promise<void> {
  await cluster.coordinator.kill()
  renameSync(dataDirectory(), `${dataDirectory()}.lost-${readdirSync(cluster.directory).length}`)
}

test('from a backup on a new disk the nodes come back, and their containers never stopped', async () => {
  const file = join(cluster.directory, 'first.backup')
  await applyWorkload(cluster, { name: 'web', replicas: 2 })
  await waitForReady(cluster, 'web', 2)
  const made = await backUp(file)
  assert.equal(made.code, 0, made.stderr)
  assert.match(made.stdout, /Holds: +the CA; 1 nodes, 1 workloads, 2 replicas/)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const known = await runningContainers(cluster, 'a')

  await applyWorkload(cluster, { name: 'later' })
  await waitForReady(cluster, 'later', 1)
  const [later] = await replicasOf(cluster, 'later')

  await loseCoordinator()
  const restored = await restore(file, dataDirectory())
  assert.equal(restored.code, 0, restored.stderr)
  await cluster.coordinator.start()
  await cluster.waitForPhase('a', 'READY')
  const replicas = await waitForReady(cluster, 'web', 2)
  assert.deepEqual(
    replicas.map(({ restartCount }) => restartCount ?? 0),
    [0, 0],
  )
  // What the backup did not know is stopped, and that is said.
  await waitFor(async () => (await runningContainers(cluster, 'a')).length === known.length, {
    what: 'the replica that is newer than the backup to be stopped',
    deadlineMs: 20_000,
  })
  assert.deepEqual(await runningContainers(cluster, 'a'), known)
  const events = await cluster.ctl.text(['events', '--type', 'cluster.*', '-o', 'json'])
  assert.match(
    events,
    new RegExp(`node \\\\"a\\\\" came back with replica ${later!.id} of \\\\"later\\\\"`),
  )
  assert.match(events, /the cluster was restored from a backup of/)
  const status = await cluster.ctl.text(['cluster', 'status'])
  assert.match(status, /Restored: .*nodes came back with 1 replica it did not know/)
})

test('a backup that does not fit on the disk leaves no file, and the one before as it was', async () => {
  const directory = join(cluster.directory, 'small')
  mkdirSync(directory)
  const disk = await createSmallDisk({ prefix, directory, megabytes: 1 })
  try {
    const file = join(directory, 'kept.backup')
    assert.equal((await backUp(file)).code, 0)
    const { size } = statSync(file)
    await disk.fill()
    const refused = await backUp(file)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /ENOSPC|no space/i)
    await disk.free()
    assert.deepEqual(readdirSync(directory), ['kept.backup'])
    assert.equal(statSync(file).size, size)
  } finally {
    await disk.remove()
  }
})

test('a restore that is killed is no cluster, and the next one completes it', async () => {
  const file = join(cluster.directory, 'killed.backup')
  assert.equal((await backUp(file)).code, 0)
  const directory = join(cluster.directory, 'killed')
  let unfinished = 0
  for (let attempt = 0; attempt < 2; attempt++) {
    const [program, ...args] = restoreCommand(file, directory)
    const child = spawn(program!, args, {
      env: cleanEnvironment(),
      stdio: 'ignore',
      detached: true,
    })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const at = ['ca', 'metadata.db'][attempt]!
    await waitFor(() => existsSync(join(directory, at)) || child.exitCode !== null, {
      what: `the restore to have made ${at}`,
      deadlineMs: 20_000,
      pollMs: 1,
    })
    process.kill(-child.pid!, 'SIGKILL')
    await ended
    if (!existsSync(join(directory, 'RESTORE-UNFINISHED'))) continue
    unfinished++
    const started = await runCommand([coordinatorProgram, '--data-dir', directory], {
      env: cleanEnvironment(),
    })
    assert.equal(started.code, 1)
    assert.match(started.stderr, /a restore that did not end/)
  }
  assert.ok(unfinished > 0, 'one was killed in the middle')
  const outcome = await restore(file, directory)
  if (outcome.code !== 0) assert.match(outcome.stderr, /not empty/)
  assert.deepEqual(readdirSync(directory).toSorted().slice(0, 2), ['ca', 'metadata.db'])
})

test('what cannot be restored says why, and a check changes nothing', async () => {
  const file = join(cluster.directory, 'check.backup')
  assert.equal((await backUp(file)).code, 0)
  const nowhere = join(cluster.directory, 'nowhere')
  const checked = await restore(file, nowhere, '--check')
  assert.equal(checked.code, 0, checked.stderr)
  assert.match(checked.stdout, /is whole/)
  assert.ok(!existsSync(nowhere))

  const inUse = await restore(file, dataDirectory())
  assert.equal(inUse.code, 1)
  assert.match(inUse.stderr, /not empty/)
  const other = join(dirname(passphraseFile), 'other')
  writeFileSync(other, 'another passphrase\n')
  const wrong = await restore(file, nowhere, '--passphrase-file', other)
  assert.match(wrong.stderr, /this is not the passphrase/)
  const unsaid = await cluster.ctl.run(['cluster', 'backup', '--to', file])
  assert.equal(unsaid.code, 2)
  const plain = await cluster.ctl.run(['cluster', 'backup', '--to', file, '--unencrypted'])
  assert.equal(plain.code, 0)
  assert.match(plain.stderr, /warning: the backup is not encrypted/)
})
