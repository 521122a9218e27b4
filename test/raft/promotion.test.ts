/** From one coordinator to three and back, while workloads run. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  startCluster,
  waitForReady,
  type Cluster,
  type NodeView,
  type ReplicaView,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tprom',
    subnet: '10.80.63',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
    coordinatorConfig: { raft: { id: 'c1', client_addr: '127.0.63.1:2379' } },
  })
})

after(() => cluster?.stop())

interface Facts {
  readonly replicas: unknown
  readonly nodes: unknown
  readonly engine: string | undefined
}

/** What must be the same before and after. */
async function factsOf({ ctl }: Cluster): Promise<Facts> {
  const replicas = await ctl.items<ReplicaView & { readonly restartCount?: number }>([
    ...['workload', 'replicas', 'web'],
  ])
  const nodes = await ctl.items<NodeView>(['node', 'list'])
  const status = await ctl.json<{ readonly metadataEngine?: string }>(['cluster', 'status'])
  return {
    replicas: replicas.map(({ id, nodeName, ready, restartCount }) => [
      ...[id, nodeName, ready, restartCount],
    ]),
    nodes: nodes.map(({ id, podCidr, status: { phase } = {} }) => [id, podCidr, phase]),
    engine: status.metadataEngine,
  }
}

test('the only coordinator moves to RAFT and back, and no container notices', async () => {
  await applyWorkload(cluster, { name: 'web', replicas: 4 })
  await waitForReady(cluster, 'web', 4)
  const first = await factsOf(cluster)
  assert.equal(first.engine, 'sqlite')
  const token = await cluster.createToken(['--description', 'made before'])

  assert.match(await cluster.ctl.text(['cluster', 'promote']), /the metadata is in etcd now/)
  await waitForReady(cluster, 'web', 4)
  assert.deepEqual(await factsOf(cluster), { ...first, engine: 'etcd' })
  const again = await cluster.ctl.run(['cluster', 'promote'])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /RAFT group already/)
  assert.match(await cluster.ctl.text(['cluster', 'health']), /1 of 1 coordinator is well/)

  await cluster.coordinator.kill()
  await cluster.coordinator.start()
  await waitForReady(cluster, 'web', 4)
  assert.deepEqual(await factsOf(cluster), { ...first, engine: 'etcd' })

  assert.match(await cluster.ctl.text(['cluster', 'demote']), /the metadata is in sqlite now/)
  await waitForReady(cluster, 'web', 4)
  assert.deepEqual(await factsOf(cluster), first)
  const tokens = await cluster.ctl.text(['token', 'list'])
  assert.match(tokens, /made before/)
  assert.ok(token.length > 0)
})
