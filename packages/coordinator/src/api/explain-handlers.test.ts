import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ExplainWorkloadRequestSchema, NodePhase, ReplicaState } from '@cloudless/api'
import type { ReplicaRecord } from '@cloudless/api'
import { openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { openScheduling } from '../testing/scheduling.ts'
import { explainHandlers } from './explain-handlers.ts'

const requests = { cpuMillicores: 1_000, memoryBytes: 1n << 30n }
const spec = { resources: { requests } }

/** Nodes a, b and c, each in its zone; c is cordoned. */
async function open(t: TestContext, replicas: Record<string, ReplicaRecord>) {
  const cluster = await openCluster(t)
  const { view, controller } = openScheduling(t, cluster.state, recordingReporter().report)
  // Only what the test says is placed.
  await controller.close()
  const inZone = (name: string, phase: NodePhase = NodePhase.READY) =>
    nodeRecord(`node-${name}`, { phase, node: { zone: `zone-${name}` } })
  await cluster.put('node', {
    'node-a': inZone('a'),
    'node-b': inZone('b'),
    'node-c': inZone('c', NodePhase.CORDONED),
  })
  await cluster.put('workload', { 'default-web': workloadRecord({ spec: { replicas: 3 } }) })
  await cluster.put('replica', replicas)
  const { explainWorkload } = explainHandlers({ state: cluster.state, view })
  return (replicaId = '') =>
    explainWorkload(create(ExplainWorkloadRequestSchema, { workloadId: 'web', replicaId }))
}

test('each replica is said to be where it is, and why', async (t) => {
  const explain = await open(t, {
    'web-1': readyReplica('web-1', 'node-a', { spec }),
    'web-2': readyReplica('web-2', 'node-b', { spec, status: { state: ReplicaState.STARTING } }),
  })
  const { workload, replicas } = explain()
  assert.equal(workload?.name, 'web')
  assert.deepEqual(
    replicas.map(({ replica, summary }) => `${replica!.id} ${summary}`),
    [
      'web-1 runs on a, the best of 2 nodes that could take it (score 0.64); zone-b has a replica already',
      'web-2 starts on b, the best of 2 nodes that could take it (score 0.64); zone-a has a replica already',
    ],
  )
  assert.deepEqual(
    replicas[0]!.verdicts.map(({ nodeName, chosen, reason }) => [nodeName, chosen, reason]),
    [
      ['a', true, ''],
      ['b', false, ''],
      ['c', false, 'cordoned'],
    ],
  )
  const { terms } = replicas[0]!.verdicts[0]!
  const sum = terms.reduce((total, { contribution }) => total + contribution, 0)
  assert.ok(Math.abs(sum - replicas[0]!.verdicts[0]!.score) < 1e-9, 'the terms are the score')
})

test('what waits comes first, with the reasons counted', async (t) => {
  const large = { resources: { requests: { cpuMillicores: 200_000 } } }
  const explain = await open(t, {
    'web-1': readyReplica('web-1', 'node-a'),
    'web-2': replicaRecord('web-2', { spec: large }),
  })
  const { replicas } = explain()
  assert.deepEqual(
    replicas.map(({ replica }) => replica!.id),
    ['web-2', 'web-1'],
  )
  assert.equal(replicas[0]!.summary, 'waits: 0 of 3 nodes: 2 not enough CPU, 1 cordoned')
})

for (const [property, record, expected] of [
  [
    'gets the room of those that leave anyway',
    replicaRecord('web-1', {
      status: { nominatedNodeId: 'node-b', message: 'waits for room on node "b", which [...]' },
    }),
    'waits for room on node "b", which [...]',
  ],
  [
    'is to stop',
    readyReplica('web-1', 'node-a', {
      stopping: true,
      stopReason: 'scaled',
      status: { nodeName: 'a' },
    }),
    'is being stopped on a: scaled',
  ],
  [
    'was lost',
    readyReplica('web-1', 'node-a', { status: { state: ReplicaState.LOST, nodeName: 'a' } }),
    'was lost with a',
  ],
  [
    'has ended',
    readyReplica('web-1', 'node-a', { status: { state: ReplicaState.STOPPED } }),
    'has ended on a, the best of 2 nodes that could take it (score 0.63)',
  ],
  [
    'has failed',
    readyReplica('web-1', 'node-a', { status: { state: ReplicaState.FAILED } }),
    'has failed on a, the best of 2 nodes that could take it (score 0.63)',
  ],
  [
    'is on a node that has been cordoned',
    readyReplica('web-1', 'node-c'),
    'runs on c, which would not take it now: cordoned',
  ],
] as [string, ReplicaRecord, string][]) {
  test(`a replica that ${property} is said to`, async (t) => {
    const explain = await open(t, { 'web-1': record })
    assert.equal(explain().replicas[0]!.summary, expected)
  })
}

test('one replica is explained by its id or the end of it', async (t) => {
  const explain = await open(t, {
    'web-1': readyReplica('web-1', 'node-a'),
    'web-2': readyReplica('web-2', 'node-b'),
  })
  for (const wanted of ['web-2', '2']) {
    assert.deepEqual(
      explain(wanted).replicas.map(({ replica }) => replica!.id),
      ['web-2'],
    )
  }
  assert.throws(() => explain('3'), { code: 'not_found', message: /no replica "3"/ })
})
