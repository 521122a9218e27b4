import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCluster } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord } from '../testing/records.ts'
import { locateContainer } from './locate-container.ts'

test('a call goes to the node that it names, else to the one that holds the replica', async (t) => {
  const { state, put } = await openCluster(t)
  await put('node', { 'node-a': nodeRecord('node-a'), 'node-b': nodeRecord('node-b') })
  const waiting = replicaRecord('web-2', { status: { message: '0 of 2 nodes' } })
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a'), 'web-2': waiting })
  const locate = (containerId: string, nodeId = ''): string =>
    locateContainer(state, { containerId, nodeId })
  assert.equal(locate('web-1'), 'node-a')
  assert.equal(locate('web-1', 'node-b'), 'node-b')
  assert.equal(locate('by-hand', 'b'), 'node-b')
  assert.throws(() => locate('web-9'), { code: 'not_found', message: /workload replicas -A/ })
  assert.throws(() => locate('web-1', 'node-x'), { code: 'not_found' })
  assert.throws(() => locate('web-2'), { code: 'failed_precondition', message: /0 of 2 nodes/ })
})
