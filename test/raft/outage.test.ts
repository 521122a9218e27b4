/**
 * All coordinators are away, for as long as it takes (OUTAGE_SECONDS=900 for a quarter of an hour): the nodes go on by
 * themselves, and when the coordinators are back they find everything as it is.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sleep, systemClock } from '@cloudless/base'
import {
  applyWorkload,
  replicasOf,
  startCoordinators,
  waitFor,
  waitForReady,
  type Coordinators,
} from '@cloudless/test/testkit'

const outageMs = Number(process.env['OUTAGE_SECONDS'] ?? 30) * 1_000
/** Time enough to do something that should not be done. */
const watchedMs = 15_000
const names = ['a', 'b', 'c'] as const

let cluster: Coordinators

before(async () => {
  cluster = await startCoordinators({
    prefix: 'tout',
    subnet: '10.80.66',
    agents: names.map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  const probe = { http: { path: '/healthz', port: 8080 }, period: '1s', failure_threshold: 2 }
  await applyWorkload(cluster, { name: 'web', replicas: 3, spec: { liveness_probe: probe } })
  await waitForReady(cluster, 'web', 3)
})

after(() => cluster?.stop())

const ctr = (node: string, ...command: string[]) =>
  cluster.agent(node).host.run(['ctr', '--namespace', 'cloudless', ...command])

/** Of each container that runs on the node, its first process. */
async function tasksOf(node: string): Promise<Map<string, string>> {
  const { stdout } = await ctr(node, 'tasks', 'list')
  const lines = stdout.split('\n').filter((line) => line.includes('RUNNING'))
  return new Map(lines.map((line) => line.split(/\s+/, 2) as [string, string]))
}

/** The only container of a node, and its first process. */
async function taskOf(node: string): Promise<{ readonly id: string; readonly pid: string }> {
  const [[id, pid] = ['', ''], ...others] = await tasksOf(node)
  assert.deepEqual(others, [])
  return { id, pid }
}

async function waitForAnother(node: string, before: string, what: string): Promise<void> {
  await waitFor(
    async () => {
      const { pid } = await taskOf(node)
      return pid !== '' && pid !== before
    },
    { what, deadlineMs: 30_000 },
  )
}

test('while all coordinators are away containers are restarted, probed and come back after a reboot', async () => {
  const replicas = (await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted()
  const startMs = systemClock.monotonicMs()
  await Promise.all(cluster.all.map((one) => one.killWithRaftMember()))

  const crashed = await taskOf('a')
  await ctr('a', 'tasks', 'kill', '--signal', 'SIGKILL', crashed.id)
  await waitForAnother('a', crashed.pid, 'the container that crashed to run again')

  const sick = await taskOf('b')
  await ctr('b', 'tasks', 'exec', '--exec-id', 'x', sick.id, 'rm', '/tmp/www/healthz')
  await waitForAnother('b', sick.pid, 'the container that failed its probe to run again')

  await cluster.agent('c').host.powerOff()
  await cluster.agent('c').host.boot()
  await cluster.agent('c').start()
  await waitForAnother('c', '', 'the container of the node that was rebooted')

  await sleep(systemClock, Math.max(0, startMs + outageMs - systemClock.monotonicMs()))
  const running = await Promise.all(names.map(tasksOf))
  assert.deepEqual(running.flatMap((tasks) => [...tasks.keys()]).toSorted(), replicas)

  await Promise.all(cluster.all.map((one) => one.start()))
  await cluster.waitUntilAllAreWell()
  await waitForReady(cluster, 'web', 3, 60_000)
  await sleep(systemClock, watchedMs)
  assert.deepEqual((await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted(), replicas)
  assert.deepEqual(await Promise.all(names.map(tasksOf)), running, 'nothing was started again')
})
