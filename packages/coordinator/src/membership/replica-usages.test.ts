import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { ReplicaUsageSchema } from '@cloudless/api'
import { deleteRecord } from '../state/cluster-state.ts'
import { cleanUp, openCluster } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { readyReplica, workloadRecord } from '../testing/records.ts'
import { ReplicaUsages, usageAgeMsMax, usagesPerHeartbeatMax } from './replica-usages.ts'

const autoscaling = { minReplicas: 1, maxReplicas: 9 }
const spec = { metrics: { port: 80, names: ['queue', 'constructor'] } }

async function openUsages(t: TestContext) {
  const cluster = await openCluster(t)
  const clock = new FakeClock()
  const usages = new ReplicaUsages({ state: cluster.state, clock })
  cleanUp(t, () => usages.close())
  await cluster.put('workload', { 'default-web': workloadRecord({ spec: { autoscaling } }) })
  await cluster.put('replica', { 'web-1': readyReplica('web-1', 'node-a', { spec }) })
  const tell = (nodeId: string, facts: MessageInitShape<typeof ReplicaUsageSchema> = {}): void =>
    usages.tell(nodeId, [
      create(ReplicaUsageSchema, { replicaId: 'web-1', cpuMillicores: 250, ...facts }),
    ])
  return { ...cluster, clock, usages, tell }
}

test('what a node tells of its replica is known for half a minute', async (t) => {
  const { clock, usages, tell } = await openUsages(t)
  tell('node-a', { memoryBytes: 1_000n, metrics: { queue: 3 } })
  const told = { cpuMillicores: 250, memoryBytes: 1_000, metrics: { queue: 3 } }
  assert.deepEqual(usages.of('web-1'), told)
  clock.advance(usageAgeMsMax)
  assert.deepEqual(usages.of('web-1'), told)
  clock.advance(1)
  assert.equal(usages.of('web-1'), undefined)
})

test('a node is not listened to about the replicas of another', async (t) => {
  const { usages, tell } = await openUsages(t)
  tell('node-b')
  tell('node-a', { replicaId: 'no-such' })
  assert.equal(usages.size, 0)
})

test('figures that are none, or were not asked for, are left out', async (t) => {
  const { usages, tell } = await openUsages(t)
  tell('node-a', { cpuMillicores: -5, memoryBytes: -5n, metrics: { queue: NaN, other: 1 } })
  assert.deepEqual(usages.of('web-1'), { cpuMillicores: 0, memoryBytes: 0, metrics: {} })
})

test('what is told of workloads that are not autoscaled is not kept', async (t) => {
  const { put, usages, tell } = await openUsages(t)
  tell('node-a')
  assert.equal(usages.size, 1)
  await put('workload', { 'default-web': workloadRecord() })
  assert.equal(usages.size, 0)
  tell('node-a')
  assert.equal(usages.size, 0)
})

test('the replicas of what was never autoscaled are not looked through when it is written', async (t) => {
  const { state, put } = await openCluster(t)
  const looked: string[] = []
  const watched = {
    get: state.get.bind(state),
    listen: state.listen.bind(state),
    replicasOfWorkload(workloadId: string) {
      looked.push(workloadId)
      return state.replicasOfWorkload(workloadId)
    },
  } as typeof state
  const usages = new ReplicaUsages({ state: watched, clock: new FakeClock() })
  cleanUp(t, () => usages.close())
  await put('workload', { 'default-web': workloadRecord({ spec: { autoscaling } }) })
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a', { spec }) })
  usages.tell('node-a', [create(ReplicaUsageSchema, { replicaId: 'web-1' })])
  await put('workload', { 'default-db': workloadRecord({ name: 'db' }) })
  await put('workload', { 'default-db': workloadRecord({ name: 'db', revision: 2n }) })
  assert.deepEqual(looked, [])
  await put('workload', { 'default-web': workloadRecord() })
  assert.deepEqual(looked, ['default-web'])
})

test('a reading goes with its replica', async (t) => {
  const { state, usages, tell } = await openUsages(t)
  tell('node-a')
  await state.write({ writes: [deleteRecord('replica', 'web-1')] })
  assert.equal(usages.size, 0)
})

test('a heartbeat that tells of too many is listened to in part', async (t) => {
  const { usages } = await openUsages(t)
  const others = Array.from({ length: usagesPerHeartbeatMax }, (_, n) =>
    create(ReplicaUsageSchema, { replicaId: `x-${n}` }),
  )
  usages.tell('node-a', [...others, create(ReplicaUsageSchema, { replicaId: 'web-1' })])
  assert.equal(usages.size, 0)
})
