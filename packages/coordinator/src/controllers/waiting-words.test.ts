import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Unplaceable } from '@cloudless/scheduler'
import { openCluster } from '../testing/cluster.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { WaitingWords } from './waiting-words.ts'

const refusal = (reason: string, nodeCount: number): Unplaceable => ({
  kind: 'unplaceable',
  replicaId: 'web-2',
  nodeCount,
  rejections: [{ reason, nodeCount }],
  filters: ['resources'],
})

test('each is told its own reasons, and what of its workload is in the way', async (t) => {
  const { state, put } = await openCluster(t)
  await put('workload', {
    'default-web': workloadRecord({ revision: 2n }),
    'default-shop': workloadRecord({ name: 'shop' }),
  })
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  const updated = replicaRecord('web-2', { status: { revision: 2n } })
  const other = replicaRecord('shop-1', { status: { workloadId: 'default-shop' } })
  const orphan = replicaRecord('gone-1', { status: { workloadId: 'default-gone' } })
  const [cpu, memory] = [refusal('not enough CPU', 3), refusal('not enough memory', 4)]
  const words = new WaitingWords(state)
  for (let round = 0; round < 2; round++) {
    const told = words.of(updated, cpu)
    assert.match(told.message, /^0 of 3 nodes: 3 not enough CPU; the old replicas hold on/)
    assert.deepEqual(
      told.pendingReasons.map(({ reason, nodeCount }) => [reason, nodeCount]),
      [['not enough CPU', 3]],
    )
    assert.equal(words.of(other, cpu).message, '0 of 3 nodes: 3 not enough CPU')
    assert.equal(words.of(orphan, memory).message, '0 of 4 nodes: 4 not enough memory')
  }
})
