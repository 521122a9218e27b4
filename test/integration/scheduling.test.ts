/** Asking the scheduler why and what if, and making room, through the real CLI on real containers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  waitForReplicas,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tsched',
    subnet: '10.80.31',
    agents: ['a', 'b'].map((name) => ({
      name,
      zone: `zone-${name}`,
      cpuCores: 2,
      memoryMb: 1024,
    })),
  })
})

after(() => cluster?.stop())

const asking = (cpu: string, memory: string): Record<string, unknown> => ({
  resources: { requests: { cpu, memory } },
})

test('explains where each replica is, and where one would go that was never applied', async () => {
  await applyWorkload(cluster, { name: 'web', replicas: 2, spec: asking('1000m', '100Mi') })
  await waitForReady(cluster, 'web', 2)
  const text = await cluster.ctl.text(['workload', 'explain', 'web'])
  assert.match(text, /runs on a/)
  assert.match(text, /runs on b/)
  assert.match(text, /LOCALITY x0\.30/)
  const manifest = [
    'apiVersion: cloudless/v1',
    'kind: Workload',
    'metadata: {name: large}',
    'spec: {image: none, replicas: 1, resources: {requests: {cpu: 8, memory: 1Gi}}}',
  ].join('\n')
  const trial = await cluster.ctl.text(['workload', 'explain', '-f', '-'], { input: manifest })
  assert.match(trial, /0 of 2 nodes: 2 not enough CPU/)
  const moves = await cluster.ctl.text(['simulate', 'loss', 'a'])
  assert.match(moves, /web-\w+.* a .* - .*not enough CPU/)
})

test('a replica of a high priority is given the room of the fewest lower ones, after their grace', async () => {
  const before = await waitForReady(cluster, 'web', 2)
  const spec = { ...asking('1000m', '100Mi'), priority: 500 }
  await applyWorkload(cluster, { name: 'urgent', replicas: 1, spec })
  const [urgent] = await waitForReady(cluster, 'urgent', 1)
  const left = await waitForReplicas(
    cluster,
    'web',
    { what: 'one of web waits' },
    (replicas) => replicas.some(({ nodeName }) => !nodeName) && replicas.length === 2,
  )
  const kept = left.filter(({ id }) => before.some((one) => one.id === id))
  assert.equal(kept.length, 1, 'one victim, and one was kept')
  assert.notEqual(kept[0]!.nodeName, urgent!.nodeName)
  await waitFor(
    async () => (await runningContainers(cluster, urgent!.nodeName!)).join() === urgent!.id,
    { what: 'the victim is gone from the node' },
  )
  const events = await cluster.ctl.text(['events', '--type', 'scheduling.preempted'])
  assert.match(events, /urgent/)
})

test('room that comes free goes to what waits, and the pool shows it', async () => {
  await cluster.ctl.text(['workload', 'delete', 'urgent', '--wait'])
  const replicas = await waitForReady(cluster, 'web', 2)
  assert.deepEqual(replicas.map(({ nodeName }) => nodeName).toSorted(), ['a', 'b'])
  const fragments = await cluster.ctl.text(['vrn', 'fragments'])
  assert.equal(fragments.match(/ALLOCATED/g)?.length, 2)
  assert.match(await cluster.ctl.text(['vrn']), /Fragments: +2 ALLOCATED/)
})

test('what is changed of the scheduler while it runs counts from the next decision on', async () => {
  await cluster.ctl.text(['scheduler', 'set', '--cpu-overcommit', '2', '--spread', 'none'])
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '4', '--wait'])
  await waitForReady(cluster, 'web', 4)
  await cluster.ctl.text(['scheduler', 'set', '--reset'])
  assert.match(await cluster.ctl.text(['scheduler', 'get']), /cpu-overcommit: +1\n/)
})
