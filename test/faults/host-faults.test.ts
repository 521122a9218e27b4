/** What goes wrong with a node's own parts: each ends in a status that says so, and ends by itself. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  buildSimpleWeb,
  createSmallDisk,
  healthzOf,
  replicasOf,
  simpleWebImage,
  startCluster,
  waitFor,
  waitForReady,
  waitForReplicas,
  type AgentOnHost,
  type Cluster,
  type ReplicaView,
  type SmallDisk,
} from '@cloudless/test/testkit'

const prefix = 'thost'
let cluster: Cluster
let node: AgentOnHost
/** What the agent writes; what containerd writes. */
let agentDisk: SmallDisk
let imageDisk: SmallDisk

before(async () => {
  cluster = await startCluster({ prefix, subnet: '10.80.31', agents: [], withImage: false })
  node = await cluster.addAgent({ name: 'a', cpuCores: 2, memoryMb: 1024 }, { start: false })
  const { host } = node
  const run = host.run
  agentDisk = await createSmallDisk({ prefix, run, directory: node.dataDirectory, megabytes: 4 })
  await host.kill('containerd', 'SIGKILL')
  const directory = join(host.directory, 'containerd')
  imageDisk = await createSmallDisk({ prefix, run, directory, megabytes: 64 })
  await host.startContainerd()
  await node.importImage(simpleWebImage, await buildSimpleWeb(cluster.directory))
  await node.start(await cluster.createToken())
  const { podCidr } = await cluster.waitForPhase('a', 'READY')
  await cluster.network.route(podCidr!, host.address)
  await applyWorkload(cluster, { name: 'before' })
  await waitForReady(cluster, 'before', 1)
})

after(() => cluster?.stop())

/** Its one replica, once it says something that matches. */
async function waitForWord(name: string, word: RegExp): Promise<ReplicaView> {
  const [replica] = await waitForReplicas(cluster, name, { what: `the word ${word}` }, ([first]) =>
    word.test(`${first?.reason ?? ''} ${first?.message ?? ''}`),
  )
  return replica!
}

/** It was there before, and nothing has touched it. */
async function assertUndisturbed(): Promise<void> {
  const [replica] = await replicasOf(cluster, 'before')
  assert.equal(replica?.ready, true)
  assert.equal(replica?.restartCount ?? 0, 0)
  assert.equal(await healthzOf(cluster, replica!), 'ok')
}

test("with the agent's disk full, what is assigned waits and says so; what runs, runs; stops work", async () => {
  await applyWorkload(cluster, { name: 'to-go' })
  await waitForReady(cluster, 'to-go', 1)
  await agentDisk.fill()
  await applyWorkload(cluster, { name: 'during' })
  const replica = await waitForWord('during', /DiskFull/)
  assert.match(replica.message ?? '', /no space|full/i)
  await cluster.ctl.text(['workload', 'delete', 'to-go', '--wait'])
  await cluster.waitForPhase('a', 'READY')
  await assertUndisturbed()
  await agentDisk.free()
  await waitForReady(cluster, 'during', 1)
  await cluster.ctl.text(['workload', 'delete', 'during', '--wait'])
})

test('an agent killed on a full disk starts on it, and takes its containers over', async () => {
  await agentDisk.fill()
  await node.kill()
  await node.start()
  await cluster.waitForPhase('a', 'READY')
  await agentDisk.free()
  await waitForReady(cluster, 'before', 1)
})

test("with containerd's disk full, a container cannot be made and says so, and is made when there is room", async () => {
  await imageDisk.fill()
  await applyWorkload(cluster, { name: 'during' })
  await waitForWord('during', /no space left/i)
  await imageDisk.free()
  await waitForReady(cluster, 'during', 1, 30_000)
  await cluster.ctl.text(['workload', 'delete', 'during', '--wait'])
})

test('while containerd is away what is assigned waits and says so, and the node says so too', async () => {
  const [kept] = await waitForReady(cluster, 'before', 1)
  await node.host.kill('containerd', 'SIGKILL')
  await applyWorkload(cluster, { name: 'during' })
  await waitForWord('during', /./)
  await waitFor(
    async () => {
      const [a] = await cluster.nodes()
      return a?.status?.conditions?.some(
        ({ type, message }) =>
          type === 'RuntimeUnavailable' && /does not answer/.test(message ?? ''),
      )
    },
    {
      what: 'the condition of the node',
      describe: () => cluster.ctl.text(['node', 'describe', 'a']),
    },
  )
  await applyWorkload(cluster, { name: 'later' })
  const replica = await waitForWord('later', /0 of 1/)
  assert.match(replica.message ?? '', /runtime|failed/)
  assert.equal(await healthzOf(cluster, kept!), 'ok')
  await node.host.startContainerd()
  for (const name of ['during', 'later']) await waitForReady(cluster, name, 1, 30_000)
  await assertUndisturbed()
})
