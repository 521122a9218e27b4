/** What the whole coordinator answers of its scheduling: explanations, trials, simulations, the pool, its configuration. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FragmentStatus, ReplicaState, SimulationKind } from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import { eventually } from '../testing/cluster.ts'
import { runCoordinatorHere, type RunningCoordinator } from '../testing/running-coordinator.ts'
import { joinCluster } from '../testing/talking-agent.ts'

/** Two of three nodes: agents offer 4 cores and 4 GiB. */
const requests = { cpuMillicores: 2_500, memoryBytes: 1n << 30n }
const workload = (name: string, replicas: number) => ({
  name,
  spec: { image: name, replicas, resources: { requests } },
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + 8_000
  while (!(await holds())) {
    assert.ok(systemClock.monotonicMs() < endMs, 'it never came to hold')
    await sleep(systemClock, 20)
  }
}

/** Two agents, and "web" ready on both. */
async function start(t: TestContext) {
  const coordinator = await runCoordinatorHere(t)
  const { client } = coordinator
  const agents = [
    await joinCluster(t, coordinator, 'one'),
    await joinCluster(t, coordinator, 'two'),
  ]
  await client.createWorkload({ workload: workload('web', 2) })
  await eventually(() => agents.every(({ assignments }) => assignments.size === 1))
  for (const agent of agents) for (const id of agent.assignments.keys()) agent.observe(id)
  await until(
    async () => (await client.getWorkload({ workloadId: 'web' })).status!.readyReplicas === 2,
  )
  return { coordinator, client, agents }
}

async function waiting({ client }: RunningCoordinator, workloadId: string): Promise<number> {
  const { replicas } = await client.listReplicas({ workloadId })
  return replicas.filter(({ nodeId }) => nodeId === '').length
}

test('what waits is explained, and gets a place when CPU may be promised twice', async (t) => {
  const { coordinator, client } = await start(t)
  await client.createWorkload({ workload: workload('api', 1) })
  await until(async () => {
    const { replicas } = await client.listReplicas({ workloadId: 'api' })
    return replicas[0]?.reason === 'Unschedulable'
  })
  const explained = await client.explainWorkload({ workloadId: 'api' })
  assert.equal(explained.replicas[0]!.summary, 'waits: 0 of 2 nodes: 2 not enough CPU')
  assert.deepEqual(
    explained.replicas[0]!.verdicts.map(({ nodeName, filter }) => [nodeName, filter]),
    [
      ['one', 'resources'],
      ['two', 'resources'],
    ],
  )

  const configuration = await client.updateSchedulerConfiguration({
    configuration: { cpuOvercommit: 2 },
  })
  assert.deepEqual([configuration.cpuOvercommit, configuration.changed], [2, ['cpuOvercommit']])
  await until(async () => (await waiting(coordinator, 'api')) === 0)
  const { events } = await client.listEvents({ filter: { types: ['scheduling.configured'] } })
  assert.match(events[0]!.description, /differs from the file's in cpuOvercommit/)
  assert.equal(events[0]!.metadata['cpuOvercommit'], '2')
  const pool = await client.getResourcePool({})
  assert.equal(pool.cpuOvercommit, 2)
})

test('a trial of a manifest sees what runs, and places nothing', async (t) => {
  const { client } = await start(t)
  const { decisions } = await client.schedule({
    workload: workload('new', 1),
    dryRun: true,
    explain: true,
  })
  assert.equal(decisions[0]!.summary, 'would wait: 0 of 2 nodes: 2 not enough CPU')
  const small = workload('new', 2)
  small.spec.resources.requests = { cpuMillicores: 100, memoryBytes: 1n << 20n }
  const trial = await client.schedule({ workload: small, dryRun: true, explain: true })
  assert.ok(trial.decisions.every(({ summary }) => summary.startsWith('would go to ')))
  const [first] = trial.decisions[0]!.verdicts
  assert.ok(first!.chosen && first!.terms.length === 8)
  const { total } = await client.listWorkloads({})
  assert.equal(total, 1)
})

test('a simulated drain tells what the drain then does', async (t) => {
  const { client } = await start(t)
  const simulated = await client.simulateNodes({ kind: SimulationKind.DRAIN, nodeIds: ['one'] })
  assert.deepEqual(
    simulated.moves.map(({ workloadName, fromNodeName, toNodeName, pendingReasons }) => [
      workloadName,
      fromNodeName,
      toNodeName,
      pendingReasons.map(({ reason }) => reason).sort(),
    ]),
    [['web', 'one', '', ['draining', 'not enough CPU']]],
  )
  assert.deepEqual(simulated.workloadsBelowMinimum, [], 'one of two may be missing')
  assert.equal((await client.getNode({ nodeId: 'one' })).unschedulable, false)
})

test('the pool and its fragments follow the replicas', async (t) => {
  const { client, agents } = await start(t)
  const { cluster, nodes } = await client.getResourcePool({})
  assert.deepEqual([cluster?.nodes, cluster?.nodesReady], [2, 2])
  assert.deepEqual(
    [cluster?.allocatable, cluster?.reserved, cluster?.free].map((c) => c?.cpuMillicores),
    [8_000, 5_000, 3_000],
  )
  assert.deepEqual(cluster?.fragments, { ALLOCATED: 2 })
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ['one', 'two'],
  )
  const { fragments } = await client.listFragments({ nodeId: 'one' })
  assert.deepEqual([fragments.length, fragments[0]?.status], [1, FragmentStatus.ALLOCATED])

  await client.deleteWorkload({ workloadId: 'web' })
  for (const agent of agents) {
    await eventually(() => agent.heard.includes('assignments') && agent.assignments.size === 0)
  }
  const releasing = await client.listFragments({})
  assert.deepEqual(
    releasing.fragments.map(({ status }) => status),
    [FragmentStatus.RELEASING, FragmentStatus.RELEASING],
  )
  for (const [n, agent] of agents.entries()) {
    const { replicaId } = releasing.fragments.find(({ nodeId }) => nodeId === agents[n]!.nodeId)!
    agent.observe(replicaId, { state: ReplicaState.STOPPED, ready: false, removed: true })
  }
  await until(async () => (await client.listFragments({})).total === 0)
  const released = await client.listFragments({
    status: FragmentStatus.RELEASED,
    workloadId: 'web',
  })
  assert.equal(released.total, 2)
  assert.ok(released.fragments.every(({ releasedAtMs }) => releasedAtMs > 0n))
})

test("the scheduler's configuration outlives the coordinator", async (t) => {
  const first = await runCoordinatorHere(t, { flags: ['--scheduler-packing', 'spread'] })
  const before = await first.client.getSchedulerConfiguration({})
  assert.deepEqual([before.packing, before.changed], ['spread', []])
  const idempotencyKey = 'once'
  const configuration = { spreadTopology: 'node', weights: { reliability: 1 } }
  const changed = await first.client.updateSchedulerConfiguration({ configuration, idempotencyKey })
  await first.client.updateSchedulerConfiguration({ configuration: { packing: 'best_fit' } })
  const again = await first.client.updateSchedulerConfiguration({ configuration, idempotencyKey })
  assert.equal(again.packing, 'spread', 'the first answer, and nothing is done twice')
  await first.client.updateSchedulerConfiguration({ reset: true })
  await first.client.updateSchedulerConfiguration({ configuration })
  await first.stop()
  const { client } = await runCoordinatorHere(t, { dataDirectory: first.dataDirectory })
  const after = await client.getSchedulerConfiguration({})
  assert.deepEqual(
    [after.packing, after.spreadTopology, after.weights?.reliability, after.weights?.cost],
    ['binpack', 'node', 1, 0],
  )
  assert.ok(after.resourceVersion > changed.resourceVersion)
})
