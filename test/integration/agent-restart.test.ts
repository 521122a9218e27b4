/** The agent, its containerd and its host restart; containers are adopted, not restarted. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  healthzOf,
  replicasOf,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tagent',
    subnet: '10.80.4',
    agents: [{ name: 'a', cpuCores: 2, memoryMb: 1024 }],
    // Time enough for an agent to be started again before its replicas are given up.
    coordinatorConfig: { membership: { reset_grace: '30s' } },
  })
  await applyWorkload(cluster, { name: 'web', replicas: 2 })
  await waitForReady(cluster, 'web', 2)
})

after(() => cluster?.stop())

async function processIds(): Promise<string> {
  const { host } = cluster.agent('a')
  const tasks = await host.run(['ctr', '--namespace', 'cloudless', 'tasks', 'list'])
  return tasks.stdout
    .split('\n')
    .filter((line) => line.includes('RUNNING'))
    .toSorted()
    .join('\n')
}

async function isRestarting(name: string): Promise<boolean> {
  const node = (await cluster.nodes()).find((one) => one.name === name)
  return node?.status?.conditions?.some(({ type }) => type === 'AgentRestarting') ?? false
}

test('a killed agent, started again, adopts its containers: same ids, same processes', async () => {
  const before = await processIds()
  assert.notEqual(before, '')
  for (let round = 0; round < 3; round++) {
    await cluster.agent('a').kill()
    assert.equal(await processIds(), before)
    await cluster.agent('a').start()
    await cluster.waitForPhase('a', 'READY')
    await waitForReady(cluster, 'web', 2)
    assert.equal(await processIds(), before)
  }
  assert.ok((await replicasOf(cluster, 'web')).every(({ restartCount }) => !restartCount))
})

test('an agent that is asked to stop says goodbye, and its containers stay and count', async () => {
  const before = await processIds()
  await cluster.agent('a').host.kill('agent', 'SIGTERM')
  await waitFor(() => cluster.agent('a').process() === undefined, {
    what: 'the end of the agent',
    deadlineMs: 15_000,
  })
  assert.equal(await processIds(), before)
  const replicas = await waitForReady(cluster, 'web', 2)
  assert.equal(await healthzOf(cluster, replicas[0]!), 'ok')
  await cluster.agent('a').start()
  // The node was READY all the time: it is the condition that tells.
  await waitFor(async () => !(await isRestarting('a')), { what: 'the agent to be back' })
  assert.equal(await processIds(), before)
})

test('containers outlive a killed containerd, and the agent works again when it is back', async () => {
  const before = await processIds()
  const { host } = cluster.agent('a')
  await host.kill('containerd', 'SIGKILL')
  const [replica] = await replicasOf(cluster, 'web')
  assert.equal(await healthzOf(cluster, replica!), 'ok')
  await host.startContainerd()
  await waitFor(async () => (await processIds()) === before, { what: 'the same containers' })
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '3'])
  await waitForReady(cluster, 'web', 3)
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '2'])
  await waitForReady(cluster, 'web', 2)
})

test('a host that reboots while there is no coordinator starts what it was assigned', async () => {
  const { host } = cluster.agent('a')
  const assigned = (await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted()
  await cluster.coordinator.kill()
  await host.powerOff()
  await host.boot()
  await cluster.agent('a').start()
  await waitFor(async () => (await runningContainers(cluster, 'a')).join() === assigned.join(), {
    what: 'the assigned containers',
    deadlineMs: 30_000,
  })
  await cluster.coordinator.start()
  await cluster.waitForPhase('a', 'READY')
  const replicas = await waitForReady(cluster, 'web', 2)
  assert.deepEqual(replicas.map(({ id }) => id).toSorted(), assigned)
})
