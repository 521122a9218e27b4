/** Cordon, drain, labels and removal of nodes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
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

before(async () => {
  cluster = await startCluster({
    prefix: 'tmember',
    subnet: '10.80.6',
    agents: ['a', 'b', 'c'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  await applyWorkload(cluster, {
    name: 'web',
    replicas: 3,
    spec: { rollout: { min_available: 3 } },
  })
  await waitForReady(cluster, 'web', 3)
})

after(() => cluster?.stop())

async function countOn(node: string): Promise<number> {
  return (await replicasOf(cluster, 'web')).filter(({ nodeName }) => nodeName === node).length
}

test('a cordoned node keeps what it has and takes no more, until it is uncordoned', async () => {
  await cluster.ctl.text(['node', 'cordon', 'a'])
  await cluster.waitForPhase('a', 'CORDONED')
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '6'])
  await waitForReady(cluster, 'web', 6)
  assert.equal(await countOn('a'), 1)
  await cluster.ctl.text(['node', 'uncordon', 'a'])
  await cluster.waitForPhase('a', 'READY')
  await cluster.ctl.text(['workload', 'scale', 'web', '--replicas', '3'])
  await waitForReady(cluster, 'web', 3)
})

test('a drained node is emptied, each replacement ready before the replaced one stops', async () => {
  const [node] = (await replicasOf(cluster, 'web')).map(({ nodeName }) => nodeName!)
  const draining = cluster.ctl.text(['node', 'drain', node!], { deadlineMs: 60_000 })
  let fewestReady = 3
  await waitForReplicas(cluster, 'web', { what: `none on ${node}` }, (replicas) => {
    fewestReady = Math.min(fewestReady, replicas.filter(({ ready }) => ready === true).length)
    return replicas.every(({ nodeName }) => nodeName !== node)
  })
  await draining
  await waitForReady(cluster, 'web', 3)
  assert.equal(fewestReady, 3)
  assert.deepEqual(await runningContainers(cluster, node!), [])
  await cluster.ctl.text(['node', 'uncordon', node!])
  await cluster.waitForPhase(node!, 'READY')
})

test('labels and taints decide what a node gets', async () => {
  await cluster.ctl.text(['node', 'label', 'b', 'disk=fast'])
  const spec = { placement: { node_selector: { disk: 'fast' } } }
  await applyWorkload(cluster, { name: 'picky', replicas: 2, spec })
  const replicas = await waitForReady(cluster, 'picky', 2)
  assert.deepEqual(
    replicas.map(({ nodeName }) => nodeName),
    ['b', 'b'],
  )
  await cluster.ctl.text(['workload', 'delete', 'picky'])
})

test('a removed node is cut off at once, stops its containers, and cannot come back', async () => {
  const node = (await replicasOf(cluster, 'web'))[0]!.nodeName!
  const agent = cluster.agent(node)
  const refused = await cluster.ctl.run(['node', 'remove', node])
  assert.notEqual(refused.code, 0)
  await cluster.ctl.text(['node', 'remove', node, '--force'])
  await waitFor(() => agent.process() === undefined, {
    what: 'the agent to end',
    describe: () => readFileSync(agent.log, 'utf8').slice(-2000),
  })
  assert.deepEqual(await runningContainers(cluster, node), [])
  assert.ok(!(await cluster.nodes()).some(({ name }) => name === node))
  await waitForReady(cluster, 'web', 3)
  const sizeBefore = readFileSync(agent.log, 'utf8').length
  await agent.start()
  const refusal = /removed|not a member/
  await waitFor(() => refusal.test(readFileSync(agent.log, 'utf8').slice(sizeBefore)), {
    what: 'the refusal',
    describe: () => readFileSync(agent.log, 'utf8').slice(-2000),
  })
  assert.ok(!(await cluster.nodes()).some(({ name }) => name === node))
})
