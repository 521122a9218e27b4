/** Several coordinators: what is left of them goes on, what was damaged is rebuilt, and a backup moves to one of its own. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  runningContainers,
  startCoordinators,
  waitFor,
  waitForReady,
  type CoordinatorOnHost,
  type Coordinators,
} from '@cloudless/test/testkit'

let coordinators: Coordinators
let keyFile: string
let containers: readonly string[]

before(async () => {
  coordinators = await startCoordinators({
    prefix: 'tbackr',
    subnet: '10.80.37',
    agents: [{ name: 'a', cpuCores: 2, memoryMb: 1024 }],
  })
  keyFile = join(coordinators.directory, 'backup.key')
  writeFileSync(keyFile, new Uint8Array(32).fill(5))
  await coordinators.waitUntilAllAreWell()
  await applyWorkload(coordinators, { name: 'web' })
  await waitForReady(coordinators, 'web', 1)
  containers = await runningContainers(coordinators, 'a')
})

after(() => coordinators?.stop())

const recover = (one: CoordinatorOnHost, ...more: string[]) =>
  coordinators.ctl.run(['cluster', 'recover', '--coordinator', one.address, ...more], {
    deadlineMs: 60_000,
  })

async function untouched(): Promise<void> {
  await waitForReady(coordinators, 'web', 1, 40_000)
  assert.deepEqual(await runningContainers(coordinators, 'a'), containers)
}

test('a majority that lives is not recovered from', async () => {
  const refused = await recover(coordinators.all[0]!, '--yes')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /has a leader/)
  const unsure = await coordinators.ctl.run(['cluster', 'recover'], { input: 'cluster-x\n' })
  assert.equal(unsure.code, 2)
  assert.match(unsure.stderr, /othing was done/)
})

test('a coordinator whose disk is lost is rebuilt from the others', async () => {
  const [damaged] = await coordinators.followers()
  await damaged!.killWithRaftMember()
  rmSync(damaged!.dataDirectory, { recursive: true })
  await coordinators.ctl.text(['cluster', 'remove', damaged!.id])
  await damaged!.start(['--token', await coordinators.createToken(['--for-coordinator'])])
  await coordinators.waitUntilAllAreWell()
  await untouched()
})

test('the one that is left of three goes on, and the lost ones cannot disturb it', async () => {
  const survivor = await coordinators.leader()
  const lost = coordinators.all.filter((one) => one !== survivor)
  const backup = join(coordinators.directory, 'raft.backup')
  const args = ['cluster', 'backup', '--to', backup, '--encryption-key-file', keyFile]
  await coordinators.ctl.text([...args, '--coordinator', lost[0]!.address])
  await Promise.all(lost.map((one) => one.killWithRaftMember()))
  const recovered = await waitFor(
    async () => {
      const outcome = await recover(survivor, '--yes')
      return outcome.code === 0 ? outcome : undefined
    },
    {
      what: 'the survivor to be recovered',
      deadlineMs: 20_000,
      pollMs: 1_000,
      describe: () =>
        readFileSync(survivor.log, 'utf8')
          .split('\n')
          .filter((line) => !line.includes('RecoverCoordinator'))
          .join('\n')
          .slice(-3_000),
    },
  )
  assert.match(recovered.stdout, /is the only one now, and leads/)
  for (const { id } of lost) assert.ok(recovered.stdout.includes(id))
  await untouched()

  // Both at once: together they would be a majority of the group that was.
  await Promise.all(lost.map((one) => one.begin()))
  await waitFor(() => lost.every((one) => one.process() === undefined), {
    what: 'the lost coordinators to be turned away',
    deadlineMs: 60_000,
    describe: () => lost.map(({ log }) => readFileSync(log, 'utf8').slice(-1_500)).join('\n'),
  })
  for (const { log } of lost) assert.match(readFileSync(log, 'utf8'), /removed from/)
  assert.equal((await coordinators.leader()).id, survivor.id)
  await untouched()

  const [again] = lost
  rmSync(again!.dataDirectory, { recursive: true })
  await again!.start(['--token', await coordinators.createToken(['--for-coordinator'])])
  await coordinators.waitUntilAllAreWell()

  // The same where the one that is left was started anew, and so cannot serve any more.
  await Promise.all([again, survivor].map((one) => one!.killWithRaftMember()))
  const unsure = await survivor.run('recover')
  assert.match(unsure.stderr, /say --yes/)
  const offline = await survivor.run('recover', ['--yes'])
  assert.equal(offline.code, 0, offline.stderr)
  assert.match(offline.stdout, new RegExp(`No coordinators any more: ${again!.id}\\.`))
  await survivor.start()
  await untouched()
})

test('a backup of several is restored to a group of one, which is none of theirs', async () => {
  const backup = join(coordinators.directory, 'raft.backup')
  const [first] = coordinators.all
  for (const one of coordinators.all) await one.killWithRaftMember()
  renameSync(first!.dataDirectory, `${first!.dataDirectory}.old`)
  const flags = ['--from', backup, '--encryption-key-file', keyFile, '--raft-bootstrap']
  const restored = await first!.run('restore', flags)
  assert.equal(restored.code, 0, restored.stderr)
  await first!.start()
  // One of the group that was finds its peer at the old address, in another group.
  await coordinators.all.find((one) => one !== first)!.begin()
  await untouched()
  const { items } = await coordinators.ctl.json<{ items: { id: string }[] }>(['cluster', 'members'])
  assert.deepEqual(
    items.map(({ id }) => id),
    [first!.id],
  )
})
