import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { openCluster } from '../testing/cluster.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { minimumOf } from '../controllers/spare-replicas.ts'
import { readyReplicaIds, spareReplicas } from './ready-replicas.ts'

for (const [property, minAvailable, spare] of [
  ['that must keep two ready has one to spare', 2, 1],
  ['that must keep all ready has none', 3, 0],
  ['that must keep none has all that live', 0, 4],
] as const) {
  test(`a workload of three ready replicas and one that starts ${property}`, async (t) => {
    const { state, put } = await openCluster(t)
    const spec = { replicas: 4, rollout: { minAvailable } }
    await put('workload', { 'default-web': workloadRecord({ spec }) })
    await put('replica', {
      'web-1': readyReplica('web-1', 'node-a'),
      'web-2': readyReplica('web-2', 'node-a'),
      'web-3': readyReplica('web-3', 'node-b'),
      'web-4': replicaRecord('web-4', { status: { nodeId: 'node-b' } }),
      'web-5': readyReplica('web-5', 'node-b', { stopping: true }),
      'web-6': readyReplica('web-6', 'node-c', { status: { state: ReplicaState.LOST } }),
    })
    assert.deepEqual(readyReplicaIds(state, 'default-web'), ['web-1', 'web-2', 'web-3'])
    assert.equal(spareReplicas(state, 'default-web'), spare)
  })
}

test('what is gone or going needs nothing', () => {
  assert.equal(minimumOf(undefined), 0)
  assert.equal(minimumOf(workloadRecord({ deletedAtMs: 1n, spec: { replicas: 3 } })), 0)
  assert.equal(minimumOf(workloadRecord({ spec: { replicas: 3 } })), 2)
})
