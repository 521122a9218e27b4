import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { SimulateNodesRequestSchema, SimulationKind } from '@cloudless/api'
import { openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, workloadRecord } from '../testing/records.ts'
import { openScheduling } from '../testing/scheduling.ts'
import { simulateHandlers } from './simulate-handlers.ts'

const { DRAIN, LOSS } = SimulationKind
const replica = (id: string, nodeId: string, cpuMillicores: number, ready = true) => {
  const requests = { cpuMillicores }
  return readyReplica(id, nodeId, {
    spec: { resources: { requests } },
    status: { resources: requests, ready },
  })
}

/** Two nodes of 100 cores each; "web" wants both of its replicas ready. */
async function open(t: TestContext, cpuMillicores: number, firstIsReady = true) {
  const cluster = await openCluster(t)
  const { view } = openScheduling(t, cluster.state, recordingReporter().report)
  await cluster.put('node', { 'node-a': nodeRecord('node-a'), 'node-b': nodeRecord('node-b') })
  const spec = { replicas: 2, rollout: { minAvailable: 2 } }
  await cluster.put('workload', { 'default-web': workloadRecord({ spec }) })
  await cluster.put('replica', {
    'web-1': replica('web-1', 'node-a', cpuMillicores, firstIsReady),
    'web-2': replica('web-2', 'node-b', cpuMillicores),
  })
  const { simulateNodes } = simulateHandlers({ state: cluster.state, view })
  return (kind: SimulationKind, ...nodeIds: string[]) => {
    const answer = simulateNodes(create(SimulateNodesRequestSchema, { kind, nodeIds }))
    const moves = answer.moves.map((move) => {
      const why = move.pendingReasons.map(({ reason, nodeCount }) => `${nodeCount} ${reason}`)
      return `${move.replicaId} of ${move.workloadName} from ${move.fromNodeName} to ${move.toNodeName || why.join(', ')}`
    })
    return { moves, below: answer.workloadsBelowMinimum }
  }
}

test('a drain moves what fits elsewhere, without going below the minimum', async (t) => {
  const simulate = await open(t, 40_000)
  assert.deepEqual(simulate(DRAIN, 'a'), { moves: ['web-1 of web from a to b'], below: [] })
})

test('a loss goes below the minimum, also when everything fits elsewhere', async (t) => {
  const simulate = await open(t, 40_000)
  assert.deepEqual(simulate(LOSS, 'node-a'), {
    moves: ['web-1 of web from a to b'],
    below: ['default-web'],
  })
})

test('what fits nowhere is said with the reasons, and the drain would wait for it', async (t) => {
  const simulate = await open(t, 60_000)
  assert.deepEqual(simulate(DRAIN, 'a', 'a'), {
    moves: ['web-1 of web from a to 1 draining, 1 not enough CPU'],
    below: ['default-web'],
  })
})

test('nodes that go together do not take from each other', async (t) => {
  const simulate = await open(t, 10)
  assert.deepEqual(simulate(LOSS, 'a', 'b').moves, [
    'web-1 of web from a to 2 offline',
    'web-2 of web from b to 2 offline',
  ])
})

test('a workload is not below its minimum because of what was not ready anyhow', async (t) => {
  const simulate = await open(t, 40_000, false)
  assert.deepEqual(simulate(LOSS, 'a').below, [])
})

test('a simulation of more than fits into an answer is refused', async (t) => {
  const cluster = await openCluster(t)
  const { view } = openScheduling(t, cluster.state, recordingReporter().report)
  await cluster.put('node', { 'node-a': nodeRecord('node-a') })
  const kind = view.kindOf(replica('web-1', 'node-a', 1))
  for (let n = 0; n <= 10_000; n++) {
    view.table.putReplica({ id: `web-${n}`, nodeId: 'node-a', kind, holding: 'holding' })
  }
  const { simulateNodes } = simulateHandlers({ state: cluster.state, view })
  const request = create(SimulateNodesRequestSchema, { kind: LOSS, nodeIds: ['a'] })
  assert.throws(() => simulateNodes(request), {
    code: 'resource_exhausted',
    message: /10001 replicas/,
  })
})

test('a simulation needs a kind and nodes that exist', async (t) => {
  const simulate = await open(t, 10)
  assert.throws(() => simulate(SimulationKind.UNSPECIFIED, 'a'), { code: 'invalid_argument' })
  assert.throws(() => simulate(DRAIN), { code: 'invalid_argument', message: /node_ids/ })
  assert.throws(() => simulate(DRAIN, 'x'), { code: 'not_found', message: /"x"/ })
})
