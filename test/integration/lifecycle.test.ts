/** A workload from apply to delete, through the real CLI on real containers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  healthzOf,
  manifestOf,
  replicasOf,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  waitForReplicas,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster
const names = ['a', 'b']

before(async () => {
  cluster = await startCluster({
    prefix: 'tlife',
    subnet: '10.80.1',
    agents: names.map((name) => ({ name, zone: `zone-${name}`, cpuCores: 2, memoryMb: 1024 })),
  })
})

after(() => cluster?.stop())

async function allContainers(): Promise<string[]> {
  return (await Promise.all(names.map((name) => runningContainers(cluster, name)))).flat()
}

test('an applied workload runs, spread over the nodes, and answers at the addresses it names', async () => {
  await applyWorkload(cluster, { name: 'web', replicas: 4 })
  const replicas = await waitForReady(cluster, 'web', 4)
  assert.deepEqual(replicas.map((replica) => replica.nodeName).toSorted(), ['a', 'a', 'b', 'b'])
  for (const replica of replicas) assert.equal(await healthzOf(cluster, replica), 'ok')
  assert.deepEqual((await allContainers()).toSorted(), replicas.map(({ id }) => id).toSorted())
})

test('the same manifest again changes nothing', async () => {
  const before = (await replicasOf(cluster, 'web')).map(({ id }) => id)
  const manifest = manifestOf({ name: 'web', replicas: 4 })
  assert.match(await cluster.ctl.text(['apply', '-f', '-'], { input: manifest }), /unchanged/)
  assert.deepEqual(
    (await replicasOf(cluster, 'web')).map(({ id }) => id),
    before,
  )
})

test('scaling down stops some and keeps the others; scaling up adds', async () => {
  const before = (await replicasOf(cluster, 'web')).map(({ id }) => id)
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '2', '--wait'])
  const fewer = await waitForReady(cluster, 'web', 2)
  assert.ok(fewer.every(({ id }) => before.includes(id)))
  await waitFor(async () => (await allContainers()).length === 2, { what: 'two containers' })
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '3', '--wait'])
  const more = await waitForReady(cluster, 'web', 3)
  assert.ok(fewer.every(({ id }) => more.some((replica) => replica.id === id)))
})

test('an update replaces every replica and never goes below min_available', async () => {
  const before = (await waitForReady(cluster, 'web', 3)).map(({ id }) => id)
  const spec = { env: { COLOUR: 'green' }, rollout: { min_available: 2 } }
  await applyWorkload(cluster, { name: 'web', replicas: 3, spec })
  let fewestReady = 3
  await waitForReplicas(cluster, 'web', { what: 'all of the new revision' }, (replicas) => {
    fewestReady = Math.min(fewestReady, replicas.filter(({ ready }) => ready === true).length)
    const isNew = replicas.every(({ id, ready }) => !before.includes(id) && ready === true)
    return replicas.length === 3 && isNew
  })
  assert.ok(fewestReady >= 2, `only ${fewestReady} were ready`)
  const printed = await cluster.ctl.text(['workload', 'exec', 'web', '--', 'env'])
  assert.match(printed, /COLOUR=green/)
})

test('a restart replaces every replica by one of the same spec', async () => {
  const before = (await replicasOf(cluster, 'web')).map(({ id }) => id)
  await cluster.ctl.text(['workload', 'restart', 'web', '--wait'])
  const after = await waitForReady(cluster, 'web', 3)
  assert.ok(after.every(({ id }) => !before.includes(id)))
})

test('what does not fit stays pending and says why, and runs when there is room', async () => {
  const spec = { resources: { requests: { cpu_millicores: 100, memory_bytes: '3Gi' } } }
  await applyWorkload(cluster, { name: 'huge', spec })
  const [replica] = await waitForReplicas(
    cluster,
    'huge',
    { what: 'a reason' },
    (replicas) => (replicas[0]?.pendingReasons ?? []).length > 0,
  )
  assert.equal(replica!.state, 'REPLICA_STATE_PENDING')
  assert.match(await cluster.ctl.text(['workload', 'describe', 'huge']), /0 of 2 nodes.*memory/)
  await applyWorkload(cluster, { name: 'huge' })
  await waitForReady(cluster, 'huge', 1)
  await cluster.ctl.text(['workload', 'delete', 'huge'])
})

test('a deleted workload leaves no container, and then no name', async () => {
  await cluster.ctl.text(['workload', 'delete', 'web', '--wait'])
  await waitFor(async () => (await allContainers()).length === 0, { what: 'no container' })
  await waitFor(async () => (await cluster.ctl.run(['workload', 'get', 'web'])).code === 3, {
    what: 'the name to be free',
  })
})
