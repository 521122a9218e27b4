import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HelloSchema, ReplicaState } from '@cloudless/api'
import { openCluster } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, workloadRecord } from '../testing/records.ts'
import { settleReplicas } from './settle-replicas.ts'

const running = { state: ReplicaState.RUNNING, ready: true, lastExitCode: -1 }

for (const first of ['web-0', 'web-1']) {
  test(`one that took the place of another on the same node is written once, ${first} first`, async (t) => {
    const { state, put } = await openCluster(t)
    const second = first === 'web-0' ? 'web-1' : 'web-0'
    await put('node', { 'node-a': nodeRecord('node-a') })
    await put('workload', { 'default-web': workloadRecord({ spec: { replicas: 1 } }) })
    // The index of a node's replicas gives them in the order they came.
    const records = {
      'web-0': readyReplica('web-0', 'node-a', {
        lostAtMs: 1n,
        status: { state: ReplicaState.LOST, ready: false },
      }),
      'web-1': readyReplica('web-1', 'node-a', {
        status: { state: ReplicaState.SCHEDULED, ready: false, replaces: 'web-0' },
      }),
    }
    for (const id of [first, second]) {
      await put('replica', { [id]: records[id as keyof typeof records] })
    }
    const replicas = ['web-0', 'web-1'].map((replicaId) => ({ ...running, replicaId }))
    const settled = settleReplicas({ state, nowMs: 9 }, 'node-a', create(HelloSchema, { replicas }))
    const result = await state.write(settled)
    assert.equal(result.kind, 'committed')
    const after = (id: string) => state.get('replica', id)!
    assert.equal(after('web-0').status!.state, ReplicaState.RUNNING)
    assert.equal(after('web-1').status!.state, ReplicaState.RUNNING)
    assert.equal(after('web-1').replaceReason, 'returned')
  })
}
