/** One node: containers that will not end, and updates and moves that have nowhere to go. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  callApi,
  replicasOf,
  startCluster,
  waitForReady,
  waitForReplicas,
  type Cluster,
  type ReplicaView,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tone',
    subnet: '10.80.34',
    agents: [{ name: 'a', cpuCores: 2, memoryMb: 1024 }],
  })
})

after(() => cluster?.stop())

/** The replica without a place, once its message matches. */
async function waitForPending(name: string, message: RegExp): Promise<ReplicaView> {
  const replicas = await waitForReplicas(
    cluster,
    name,
    { what: `a pending replica that says ${message}` },
    (all) => all.some((one) => !one.nodeName && message.test(one.message ?? '')),
  )
  return replicas.find((one) => !one.nodeName)!
}

test('a container that ignores SIGTERM is given its grace; a second delete in a hurry ends it', async () => {
  const command = ['/bin/sh', '-c', 'trap "" TERM; while :; do sleep 1; done']
  await applyWorkload(cluster, { name: 'stubborn', command, spec: { termination_grace: '10m' } })
  await waitForReady(cluster, 'stubborn', 1)
  await cluster.ctl.text(['workload', 'delete', 'stubborn'])
  await waitForReplicas(
    cluster,
    'stubborn',
    { what: 'stopping' },
    ([first]) => first?.state === 'REPLICA_STATE_STOPPING',
  )
  await cluster.ctl.text(['workload', 'delete', 'stubborn', '--graceful=false', '--wait'])
})

test('an update for which its own old replica leaves no room says what to do, and goes on when told', async () => {
  const ports = [{ name: 'http', container_port: 8080, host_port: 18080 }]
  const wish = (version: string, rollout?: object) => ({
    name: 'port',
    spec: { ports, env: { VERSION: version }, ...(rollout && { rollout }) },
  })
  await applyWorkload(cluster, wish('1'))
  const [old] = await waitForReady(cluster, 'port', 1)
  await applyWorkload(cluster, wish('2'))
  await waitForPending('port', /host port 18080\/TCP taken; .*max_unavailable to 1/)
  assert.equal((await replicasOf(cluster, 'port')).find(({ id }) => id === old!.id)?.ready, true)
  await applyWorkload(cluster, wish('2', { max_unavailable: 1 }))
  const [fresh] = await waitForReady(cluster, 'port', 1)
  assert.notEqual(fresh!.id, old!.id)
})

test('a replica that is to move and cannot stays, says so, and stays for good after a restart of its workload', async () => {
  await applyWorkload(cluster, { name: 'mover' })
  const [old] = await waitForReady(cluster, 'mover', 1)
  const moved = await callApi(cluster, 'Reschedule', '{"workloadId":"mover"}')
  assert.equal(moved.status, 200, moved.body)
  const said = new RegExp(`${old!.id} runs on a until .*workload restart mover`)
  await waitForPending('mover', said)
  await cluster.ctl.text(['workload', 'restart', 'mover', '--wait'])
  const [fresh] = await waitForReady(cluster, 'mover', 1)
  assert.equal(fresh!.nodeName, 'a')
})
