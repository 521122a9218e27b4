import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { seededRandom, systemClock } from '@cloudless/base'
import { putRecord } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { WorkloadController } from './workload-controller.ts'

async function openWorkloads(t: TestContext) {
  const cluster = await openCluster(t)
  const { report, said } = recordingReporter()
  const deps = { state: cluster.state, clock: systemClock, random: seededRandom(1), report }
  return {
    ...cluster,
    said,
    start(): void {
      const controller = new WorkloadController(deps)
      cleanUp(t, () => controller.close())
    },
    replicas: () => cluster.state.replicasOfWorkload('default-web').map((held) => held.record),
    errors: () => said.filter(({ what }) => what === 'error'),
  }
}

test('a workload gets the replicas it asks for, named after it', async (t) => {
  const workloads = await openWorkloads(t)
  workloads.start()
  await workloads.put('workload', { 'default-web': workloadRecord({ spec: { replicas: 3 } }) })
  await eventually(() => workloads.replicas().length === 3)
  for (const { status } of workloads.replicas()) {
    assert.match(status!.id, /^web-[a-z2-9]{8}$/)
    assert.equal(status!.state, ReplicaState.PENDING)
    assert.equal(status!.revision, 1n)
  }
  assert.equal(workloads.said.filter(({ what }) => what === 'replicaCreated').length, 3)
})

test('more replicas than one transaction takes are made, stopped and deleted', async (t) => {
  const workloads = await openWorkloads(t)
  workloads.start()
  await workloads.put('workload', { 'default-web': workloadRecord({ spec: { replicas: 1_200 } }) })
  await eventually(() => workloads.replicas().length === 1_200, workloads.errors)
  await workloads.put('workload', { 'default-web': workloadRecord({ spec: { replicas: 10 } }) })
  await eventually(() => workloads.replicas().length === 10, workloads.errors)
  const deleted = workloadRecord({ deletedAtMs: 1n, spec: { replicas: 1_200 } })
  await workloads.put('workload', { 'default-web': deleted })
  await eventually(() => workloads.state.count('workload') === 0, workloads.errors)
  assert.equal(workloads.state.count('replica'), 0)
  assert.deepEqual(workloads.errors(), [])
})

test('a deleted workload with more unplaced replicas than one transaction takes ends', async (t) => {
  const workloads = await openWorkloads(t)
  const ids = Array.from({ length: 1_200 }, (_, n) => `web-${n}`)
  await workloads.put('replica', Object.fromEntries(ids.map((id) => [id, replicaRecord(id)])))
  await workloads.put('workload', { 'default-web': workloadRecord({ deletedAtMs: 1n }) })
  workloads.start()
  await eventually(() => workloads.state.count('workload') === 0, workloads.errors)
  assert.equal(workloads.state.count('replica'), 0)
  assert.equal(workloads.said.filter(({ what }) => what === 'workloadDeleted').length, 1)
})

test('what runs of a deleted workload is stopped with the grace of the deletion', async (t) => {
  const workloads = await openWorkloads(t)
  await workloads.put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  const deleted = { ...workloadRecord({ deletedAtMs: 1n }), deleteGraceMs: 0n }
  await workloads.put('workload', { 'default-web': deleted })
  workloads.start()
  await eventually(() => workloads.replicas()[0]!.stopping)
  assert.equal(workloads.replicas()[0]!.stopGraceMs, 0n)
  assert.equal(workloads.replicas()[0]!.stopReason, 'deleted')
  assert.equal(workloads.state.count('workload'), 1, 'it goes only when its replicas are gone')
})

test('replicas whose workload is gone are stopped', async (t) => {
  const workloads = await openWorkloads(t)
  await workloads.put('replica', {
    'web-1': readyReplica('web-1', 'node-a'),
    'web-2': replicaRecord('web-2'),
  })
  workloads.start()
  await eventually(() => workloads.replicas().length === 1)
  await eventually(() => workloads.replicas()[0]!.stopping)
})

test('an update is carried through one ready replica at a time', async (t) => {
  const workloads = await openWorkloads(t)
  await workloads.put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  await workloads.put('workload', { 'default-web': workloadRecord({ revision: 2n }) })
  workloads.start()
  await eventually(() => workloads.replicas().length === 2)
  const fresh = workloads.replicas().find((r) => r.status!.revision === 2n)!
  assert.equal(
    workloads.replicas().some((r) => r.stopping),
    false,
  )
  const { id } = fresh.status!
  const ready = readyReplica(id, 'node-b', { status: { revision: 2n } })
  await workloads.state.write({ writes: [putRecord('replica', id, ready)] })
  await eventually(() => workloads.state.get('replica', 'web-1')!.stopping)
})
