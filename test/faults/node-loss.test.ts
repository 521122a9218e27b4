/** Nodes that die, fall silent and come back. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { systemClock } from '@cloudless/base'
import {
  applyWorkload,
  replicasOf,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  waitForReplicas,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster
const names = ['a', 'b', 'c']

before(async () => {
  cluster = await startCluster({
    prefix: 'tloss',
    subnet: '10.80.3',
    agents: names.map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  await applyWorkload(cluster, { name: 'web', replicas: 3 })
})

beforeEach(async () => {
  for (const name of names) await cluster.waitForPhase(name, 'READY')
  await waitForReady(cluster, 'web', 3)
})

/** One that was not replaced in time must not take the next test's nodes away as well. */
afterEach(async () => {
  for (const name of names) await cluster.agent(name).host.link.heal()
})

after(() => cluster?.stop())

/** A node that holds at least one replica. */
async function victim(): Promise<string> {
  return (await replicasOf(cluster, 'web'))[0]!.nodeName!
}

/** A node that was late now and then, as on a busy machine, and is not known for long, has this long to return. */
const lostMsMax = 60_000

/** Everything ready, nothing of it on the lost node; resolves with the milliseconds it took. */
async function waitUntilMoved(lost: string): Promise<number> {
  const startedMs = systemClock.monotonicMs()
  const wanted = { what: `three ready, none on ${lost}`, deadlineMs: lostMsMax }
  await waitForReplicas(cluster, 'web', wanted, (replicas) => {
    const elsewhere = replicas.filter(({ ready, nodeName }) => ready === true && nodeName !== lost)
    return elsewhere.length === 3
  })
  return systemClock.monotonicMs() - startedMs
}

/** Once it is back, only what the coordinator counts runs anywhere. */
async function assertNothingTwice(): Promise<void> {
  await waitForReady(cluster, 'web', 3)
  await waitFor(
    async () => {
      const running = (await Promise.all(names.map((name) => runningContainers(cluster, name))))
        .flat()
        .toSorted()
      const counted = (await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted()
      return running.join() === counted.join()
    },
    { what: 'exactly the counted containers to run' },
  )
}

test('a node whose power goes is replaced within seconds; back again it takes part', async (t) => {
  const lost = await victim()
  await cluster.agent(lost).host.powerOff()
  t.diagnostic(`replaced after ${Math.round(await waitUntilMoved(lost))} ms`)
  await cluster.waitForPhase(lost, 'OFFLINE')
  await cluster.agent(lost).host.boot()
  await cluster.agent(lost).start()
  await cluster.waitForPhase(lost, 'READY')
  await assertNothingTwice()
})

test('a node that falls silent is replaced; healed, it keeps what it runs and the surplus goes', async (t) => {
  const lost = await victim()
  const old = (await replicasOf(cluster, 'web')).filter(({ nodeName }) => nodeName === lost)
  await cluster.agent(lost).host.link.cut()
  t.diagnostic(`replaced after ${Math.round(await waitUntilMoved(lost))} ms`)
  // It cannot know: what it runs, it goes on running.
  assert.ok((await runningContainers(cluster, lost)).includes(old[0]!.id))
  await cluster.agent(lost).host.link.heal()
  await cluster.waitForPhase(lost, 'READY')
  await assertNothingTwice()
  const kept = (await replicasOf(cluster, 'web')).map(({ id }) => id)
  for (const { id } of old) assert.ok(kept.includes(id), `${id} is kept`)
})

test('a workload that prefers it keeps the replacement, and the old containers are stopped', async () => {
  const spec = { on_disconnect: { on_return: 'replacement' } }
  await applyWorkload(cluster, { name: 'web', replicas: 3, spec })
  await waitForReady(cluster, 'web', 3, 40_000)
  const lost = await victim()
  const old = (await replicasOf(cluster, 'web')).filter(({ nodeName }) => nodeName === lost)
  await cluster.agent(lost).host.link.cut()
  await waitUntilMoved(lost)
  await cluster.agent(lost).host.link.heal()
  await cluster.waitForPhase(lost, 'READY')
  await waitFor(
    async () =>
      !(await runningContainers(cluster, lost)).some((id) => old.some((r) => r.id === id)),
    { what: 'the given-up containers to be stopped' },
  )
  await assertNothingTwice()
})

test('a lossy cable is not a lost node', async () => {
  const name = await victim()
  const before = (await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted()
  await cluster.agent(name).host.link.loss(5)
  try {
    // Long enough for a dozen heartbeats.
    await cluster.agent(name).host.run(['sleep', '8'])
    assert.deepEqual((await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted(), before)
  } finally {
    await cluster.agent(name).host.link.loss(0)
  }
})
