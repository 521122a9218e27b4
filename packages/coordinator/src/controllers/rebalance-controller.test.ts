import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { NodePhase, ReplicaState, type ReplicaRecord } from '@cloudless/api'
import { seededRandom, sleep, systemClock } from '@cloudless/base'
import type { Write } from '@cloudless/metadata'
import { deleteRecord, putRecord } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, workloadRecord } from '../testing/records.ts'
import { openScheduling } from '../testing/scheduling.ts'
import { RebalanceController } from './rebalance-controller.ts'
import { withStatus } from './replica-records.ts'
import { WorkloadController } from './workload-controller.ts'

const quick = { sweepMs: 20, settleMs: 5, quietMs: 0 }
const rebalance = { enabled: true, maxMoving: 1, intervalMs: 1n }

/** The controllers over agents that do at once what they are told. `floor`: the fewest that were ready at any time. */
async function openRebalance(t: TestContext, replicas: number, spec: object = { rebalance }) {
  const cluster = await openCluster(t)
  const { state, put } = cluster
  const { report, said } = recordingReporter()
  const ids = Array.from({ length: replicas }, (_, n) => `web-${n}`)
  await put('node', { 'node-a': nodeRecord('node-a') })
  await put('workload', { 'default-web': workloadRecord({ spec: { replicas, ...spec } }) })
  await put(
    'replica',
    Object.fromEntries(ids.map((id) => [id, readyReplica(id, 'node-a', { spec } as never)])),
  )
  const all = (): ReplicaRecord[] => [...state.all('replica')].map(({ record }) => record)
  const watched = { floor: replicas }
  const obey = (write: Write): void => {
    // Some are still being written when the test is over.
    state.write({ writes: [write] }).catch(() => undefined)
  }
  const stop = state.listen(() => {
    const serving = all().filter((r) => r.status!.ready && !r.stopping).length
    watched.floor = Math.min(watched.floor, serving)
    for (const record of all()) {
      const { id, state: now } = record.status!
      if (record.stopping) obey(deleteRecord('replica', id))
      if (now !== ReplicaState.SCHEDULED) continue
      const running = withStatus(record, { state: ReplicaState.RUNNING, ready: true })
      obey(putRecord('replica', id, running))
    }
  })
  cleanUp(t, stop)
  const { view } = openScheduling(t, state, report)
  const looked = { nodes: 0, replicas: 0 }
  const counting = {
    get: state.get.bind(state),
    held: state.held.bind(state),
    listen: state.listen.bind(state),
    update: state.update.bind(state),
    replicasOnNode: state.replicasOnNode.bind(state),
    all(kind: 'node' | 'replica' | 'workload') {
      if (kind === 'node') looked.nodes++
      return state.all(kind)
    },
    replicasOfWorkload(workloadId: string) {
      looked.replicas++
      return state.replicasOfWorkload(workloadId)
    },
  } as unknown as typeof state
  const deps = { state, view, clock: systemClock, random: seededRandom(1), report }
  const workloads = new WorkloadController(deps)
  cleanUp(t, () => workloads.close())
  const controller = new RebalanceController({ ...deps, state: counting }, quick)
  cleanUp(t, () => controller.close())
  const moves = () => said.filter(({ what }) => what === 'workloadRebalanced').length
  const on = (nodeId: string) => all().filter((r) => r.status!.nodeId === nodeId).length
  return { ...cluster, all, moves, on, watched, looked, said }
}

test('a node that joins gets its share, none is missing meanwhile, and then all is at rest', async (t) => {
  const cluster = await openRebalance(t, 5)
  await cluster.put('node', { 'node-b': nodeRecord('node-b') })
  await eventually(() => cluster.on('node-b') === 2 && cluster.all().length === 5)
  await sleep(systemClock, 10 * quick.sweepMs)
  assert.equal(cluster.moves(), 2)
  assert.deepEqual([cluster.on('node-a'), cluster.on('node-b')], [3, 2])
  assert.equal(cluster.watched.floor, 5)
  assert.ok(cluster.all().every((r) => !r.replaceWanted))
  assert.ok(cluster.state.get('workload', 'default-web')!.lastRebalancedAtMs > 0n)
})

test('what is at rest is not looked through again until something changes', async (t) => {
  const cluster = await openRebalance(t, 4)
  await eventually(() => cluster.looked.replicas > 0)
  await sleep(systemClock, 5 * quick.sweepMs)
  const before = { ...cluster.looked }
  await sleep(systemClock, 10 * quick.sweepMs)
  assert.deepEqual(cluster.looked, before)
  await cluster.put('node', { 'node-b': nodeRecord('node-b') })
  await eventually(() => cluster.on('node-b') === 2)
})

test('all nodes are looked at once for many workloads', async (t) => {
  const cluster = await openRebalance(t, 1)
  const names = Array.from({ length: 20 }, (_, n) => `w${n}`)
  const records = names.map((name) => [
    `default-${name}`,
    workloadRecord({ name, spec: { replicas: 1, rebalance } }),
  ])
  await cluster.put('workload', Object.fromEntries(records))
  await sleep(systemClock, 10 * quick.sweepMs)
  assert.ok(cluster.looked.replicas > cluster.looked.nodes * 4, JSON.stringify(cluster.looked))
})

test('what did not opt in stays where it is', async (t) => {
  const cluster = await openRebalance(t, 4, {})
  await cluster.put('node', { 'node-b': nodeRecord('node-b') })
  await sleep(systemClock, 5 * quick.sweepMs)
  assert.equal(cluster.on('node-a'), 4)
})

test('nothing moves to a node it may not run on, or while another is drained', async (t) => {
  const cluster = await openRebalance(t, 4, {
    rebalance,
    placement: { nodeSelector: { disk: 'ssd' } },
  })
  await cluster.put('node', { 'node-b': nodeRecord('node-b') })
  await cluster.put('workload', { 'default-db': workloadRecord({ name: 'db' }) })
  const draining = nodeRecord('node-c', { drainStartedAtMs: 1n })
  await cluster.put('replica', { 'db-1': readyReplica('db-1', 'node-c', dbStatus) })
  await cluster.put('node', { 'node-c': draining })
  const labelled = nodeRecord('node-b', { node: { labels: { disk: 'ssd' } } })
  await cluster.put('node', { 'node-b': labelled })
  await sleep(systemClock, 5 * quick.sweepMs)
  assert.equal(cluster.moves(), 0)
  await cluster.put('node', { 'node-c': nodeRecord('node-c') })
  await eventually(() => cluster.on('node-b') === 2)
})

test('nothing moves while nodes that vanished together are held back', async (t) => {
  const cluster = await openRebalance(t, 4)
  const gone = { node: { status: { phase: NodePhase.OFFLINE } }, heldUntilMs: 1n }
  await cluster.put('node', { 'node-c': nodeRecord('node-c', gone) })
  await cluster.put('node', { 'node-b': nodeRecord('node-b') })
  await sleep(systemClock, 5 * quick.sweepMs)
  assert.equal(cluster.moves(), 0)
  await cluster.put('node', { 'node-c': nodeRecord('node-c', { ...gone, heldUntilMs: 0n }) })
  await eventually(() => cluster.on('node-b') === 2)
})

test('a move that finds no place is taken back', async (t) => {
  const cluster = await openRebalance(t, 2)
  const marked = readyReplica('web-0', 'node-a', {
    replaceWanted: true,
    replaceReason: 'rebalanced',
  })
  await cluster.put('replica', { 'web-0': marked })
  await eventually(() => cluster.all().length === 2 && cluster.all().every((r) => !r.replaceWanted))
  assert.deepEqual(
    cluster
      .all()
      .map((r) => r.status!.id)
      .sort(),
    ['web-0', 'web-1'],
  )
})

const dbStatus = { status: { workloadId: 'default-db', workloadName: 'db' } }
