import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { FragmentStatus, ListFragmentsRequestSchema, NodePhase, ReplicaState } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { deleteRecord } from '../state/cluster-state.ts'
import { cleanUp, openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { openScheduling } from '../testing/scheduling.ts'
import { ReleasedFragments } from './fragments.ts'
import { poolHandlers } from './pool-handlers.ts'

const requests = { cpuMillicores: 1_000, memoryBytes: 1n << 30n }
const facts = { spec: { resources: { requests } }, status: { resources: requests } }

async function open(t: TestContext) {
  const cluster = await openCluster(t)
  const { state } = cluster
  const { view, liveNodes } = openScheduling(t, state, recordingReporter().report)
  const released = new ReleasedFragments({ state, clock: systemClock })
  cleanUp(t, () => released.close())
  await cluster.put('node', {
    'node-a': nodeRecord('node-a', { node: { region: 'home', zone: 'x' } }),
    'node-b': nodeRecord('node-b', { node: { region: 'home', zone: 'y' } }),
    'node-c': nodeRecord('node-c', { phase: NodePhase.OFFLINE }),
  })
  await cluster.put('workload', { 'default-web': workloadRecord() })
  await cluster.put('replica', {
    'web-1': readyReplica('web-1', 'node-a', facts),
    'web-2': readyReplica('web-2', 'node-a', {
      ...facts,
      status: { ...facts.status, state: ReplicaState.STARTING },
    }),
    'web-3': readyReplica('web-3', 'node-b', { ...facts, stopping: true }),
    'web-4': readyReplica('web-4', 'node-c', facts),
    'web-5': replicaRecord('web-5', {
      ...facts,
      status: { ...facts.status, nominatedNodeId: 'node-b' },
    }),
  })
  const handlers = poolHandlers({ state, view, liveNodes, released: () => released.all() })
  const list = (request: MessageInitShape<typeof ListFragmentsRequestSchema> = {}) => {
    const { fragments } = handlers.listFragments(create(ListFragmentsRequestSchema, request))
    return fragments.map(({ replicaId, nodeName, status }) => `${replicaId} ${nodeName} ${status}`)
  }
  return { ...cluster, handlers, list }
}

const { RESERVED, ALLOCATED, RELEASING, RELEASED, AVAILABLE } = FragmentStatus

test('every replica that holds something has a fragment', async (t) => {
  const { list } = await open(t)
  assert.deepEqual(list(), [
    `web-1 a ${ALLOCATED}`,
    `web-2 a ${RESERVED}`,
    `web-3 b ${RELEASING}`,
    `web-4 c ${RELEASING}`,
    `web-5 b ${RESERVED}`,
  ])
})

test('fragments are picked by node, workload and status', async (t) => {
  const { list } = await open(t)
  assert.deepEqual(list({ nodeId: 'b' }), [`web-3 b ${RELEASING}`, `web-5 b ${RESERVED}`])
  assert.deepEqual(list({ nodeId: 'a', status: ALLOCATED }), [`web-1 a ${ALLOCATED}`])
  assert.equal(list({ workloadId: 'web' }).length, 5)
  assert.deepEqual(list({ namespace: 'prod' }), [])
  assert.deepEqual(list({ status: AVAILABLE }), [])
  assert.throws(() => list({ workloadId: 'api' }), { code: 'not_found' })
})

test('what was given back is listed when asked for, also of a workload that is gone', async (t) => {
  const { list, state } = await open(t)
  assert.deepEqual(list({ status: RELEASED }), [])
  await state.write({
    writes: [deleteRecord('replica', 'web-1'), deleteRecord('workload', 'default-web')],
  })
  assert.deepEqual(list({ status: RELEASED, workloadId: 'web' }), [`web-1  ${RELEASED}`])
})

test('the pool has the nodes that are there, with what is held on them', async (t) => {
  const { handlers } = await open(t)
  const { cluster, zones, nodes, cpuOvercommit } = handlers.getResourcePool()
  assert.deepEqual([cluster?.nodes, cluster?.nodesReady, cpuOvercommit], [2, 2, 1])
  assert.deepEqual(
    zones.map(({ name }) => name),
    ['home/x', 'home/y'],
  )
  assert.deepEqual(
    nodes.map(({ name, reserved, free }) => [name, reserved?.cpuMillicores, free?.cpuMillicores]),
    [
      ['a', 2_000, 98_000],
      ['b', 2_000, 98_000],
    ],
  )
  assert.deepEqual(cluster?.fragments, { ALLOCATED: 1, RESERVED: 2, RELEASING: 1 })
})
