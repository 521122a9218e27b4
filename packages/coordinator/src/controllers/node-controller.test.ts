import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  HeartbeatRequestSchema,
  HelloSchema,
  NodePhase,
  PowerSource,
  ReplicaState,
  WorkloadType,
  type Hello,
  type ReplicaObservationSchema,
} from '@cloudless/api'
import { seededRandom, systemClock } from '@cloudless/base'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import type { MetadataStore } from '@cloudless/metadata'
import { deleteRecord } from '../state/cluster-state.ts'
import {
  cleanUp,
  eventually,
  openCluster,
  recordingReporter,
  type Said,
} from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { MassLossController } from './mass-loss-controller.ts'
import { NodeController } from './node-controller.ts'
import { stopping } from './replica-records.ts'
import { WorkloadController } from './workload-controller.ts'

type Observed = MessageInitShape<typeof ReplicaObservationSchema>

function hello(nodeId: string, replicas: Observed[] = []): Hello {
  return create(HelloSchema, { nodeId, instanceId: 'i-1', runtimeReady: true, replicas })
}

async function openNodes(t: TestContext) {
  const cluster = await openCluster(t)
  const { report, said } = recordingReporter()
  const { state } = cluster
  const deps = { state, clock: systemClock, random: seededRandom(1), report }
  let controller: NodeController | undefined
  const liveNodes = new LiveNodes(
    { clock: systemClock, onChange: (nodeId) => controller?.look(nodeId) },
    livenessDefaults,
  )
  cleanUp(t, () => liveNodes.close())
  return {
    ...cluster,
    said,
    liveNodes,
    start(): NodeController {
      const onRelease = (nodeId: string): void => controller?.look(nodeId)
      const watch = { holdMs: 300_000, evictionsPerMinute: 1 }
      const massLoss = new MassLossController({ ...deps, liveNodes, onRelease }, watch)
      cleanUp(t, () => massLoss.close())
      controller = new NodeController({ ...deps, liveNodes, massLoss })
      cleanUp(t, () => controller!.close())
      return controller
    },
    startWorkloads(): void {
      const workloads = new WorkloadController(deps)
      cleanUp(t, () => workloads.close())
    },
    phase: (nodeId: string) => state.get('node', nodeId)?.node!.status!.phase,
    stateOf: (id: string) => state.get('replica', id)?.status!.state,
  }
}

const errorsIn = (said: readonly Said[]) => said.filter(({ what }) => what === 'error')

test('a lost node is OFFLINE, and all it ran is LOST and replaced', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a'), 'node-b': nodeRecord('node-b') })
  await nodes.put('workload', { 'default-web': workloadRecord({ spec: { replicas: 2 } }) })
  await nodes.put('replica', {
    'web-1': readyReplica('web-1', 'node-a'),
    'web-2': readyReplica('web-2', 'node-b'),
  })
  nodes.startWorkloads()
  nodes.liveNodes.presumeLost('node-a')
  nodes.liveNodes.connected('node-b', hello('node-b'))
  nodes.start()
  await eventually(() => nodes.phase('node-a') === NodePhase.OFFLINE)
  assert.equal(nodes.stateOf('web-1'), ReplicaState.LOST)
  assert.equal(nodes.stateOf('web-2'), ReplicaState.RUNNING)
  await eventually(() => nodes.state.replicasOfWorkload('default-web').length === 3)
  const replacement = nodes.state
    .replicasOfWorkload('default-web')
    .find(({ record }) => record.status!.replaces === 'web-1')
  assert.ok(replacement)
  assert.deepEqual(errorsIn(nodes.said), [])
})

test('what is over stays as it ended when its node is lost; a daemon is lost with it', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  const ofType = (type: WorkloadType) => ({ type }) as never
  await nodes.put('replica', {
    done: readyReplica('done', 'node-a', {
      spec: ofType(WorkloadType.JOB),
      status: { state: ReplicaState.STOPPED, ready: false, finishedAtMs: 1n },
    }),
    daemon: readyReplica('daemon', 'node-a', { spec: ofType(WorkloadType.DAEMON) }),
  })
  nodes.liveNodes.presumeLost('node-a')
  nodes.start()
  await eventually(() => nodes.stateOf('daemon') === ReplicaState.LOST)
  assert.equal(nodes.stateOf('done'), ReplicaState.STOPPED)
})

test('a lost node with more replicas than one transaction takes loses them all', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  const replicas = Array.from({ length: 1_200 }, (_, n) => readyReplica(`web-${n}`, 'node-a'))
  await nodes.put('replica', Object.fromEntries(replicas.map((r) => [r.status!.id, r])))
  nodes.liveNodes.presumeLost('node-a')
  nodes.start()
  await eventually(
    () => replicas.every((r) => nodes.stateOf(r.status!.id) === ReplicaState.LOST),
    () => nodes.said,
  )
  assert.equal(nodes.phase('node-a'), NodePhase.OFFLINE)
  assert.equal(nodes.said.filter(({ what }) => what === 'nodeLost').length, 1)
  assert.deepEqual(errorsIn(nodes.said), [])
})

/** Before the first conditional transaction that comes to the store, `intrude` is done. */
function intrudeOnce(store: MetadataStore, intrude: () => Promise<unknown>): void {
  const transact = store.transact.bind(store)
  store.transact = async (transaction) => {
    if (transaction.preconditions === undefined) return transact(transaction)
    store.transact = transact
    await intrude()
    return transact(transaction)
  }
}

test('what is left to give up stays when its node’s session begins meanwhile', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  nodes.liveNodes.presumeLost('node-a')
  const controller = nodes.start()
  await eventually(() => nodes.phase('node-a') === NodePhase.OFFLINE)
  // Found on a node that is OFFLINE already, as all are but those of the first transaction.
  const late = [readyReplica('web-1', 'node-a'), readyReplica('web-2', 'node-a')]
  const greeting = hello(
    'node-a',
    late.map(({ status }) => ({ ...stillRunning, replicaId: status!.id, lastExitCode: -1 })),
  )
  let welcomed = false
  const begins = async (): Promise<void> => {
    nodes.liveNodes.connected('node-a', greeting)
    await controller.welcome('node-a', greeting)
    welcomed = true
  }
  intrudeOnce(nodes.store, begins)
  await nodes.put('replica', { 'web-1': late[0]!, 'web-2': late[1]! })
  await eventually(() => welcomed && nodes.phase('node-a') === NodePhase.READY)
  assert.equal(nodes.stateOf('web-1'), ReplicaState.RUNNING)
  assert.equal(nodes.stateOf('web-2'), ReplicaState.RUNNING)
})

test('a node with more replicas than one transaction takes is welcomed back', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  const ids = Array.from({ length: 1_200 }, (_, n) => `web-${n}`)
  const placed = { state: ReplicaState.SCHEDULED, nodeId: 'node-a' }
  await nodes.put(
    'replica',
    Object.fromEntries(ids.map((id) => [id, replicaRecord(id, { status: placed })])),
  )
  const running = ids.map((replicaId) => ({ replicaId, state: ReplicaState.RUNNING, ready: true }))
  await nodes.start().welcome('node-a', hello('node-a', running))
  assert.ok(ids.every((id) => nodes.state.get('replica', id)?.status!.ready))
})

test('a node is welcomed although others keep changing the same records', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  const controller = nodes.start()
  const contend = async (left: number): Promise<void> => {
    await nodes.put('node', { 'node-a': nodeRecord('node-a') })
    if (left > 1) intrudeOnce(nodes.store, () => contend(left - 1))
  }
  intrudeOnce(nodes.store, () => contend(25))
  const node = await controller.welcome('node-a', hello('node-a'))
  assert.equal(node.instanceId, 'i-1')
})

test('what was given to a node that is gone is forgotten, however much', async (t) => {
  const nodes = await openNodes(t)
  const replicas = Array.from({ length: 1_200 }, (_, n) => readyReplica(`web-${n}`, 'node-a'))
  await nodes.put('replica', Object.fromEntries(replicas.map((r) => [r.status!.id, r])))
  nodes.start()
  await eventually(() => nodes.state.count('replica') === 0)
})

test('a drain of more than one transaction takes asks for all to be replaced', async (t) => {
  const nodes = await openNodes(t)
  const draining = nodeRecord('node-a', { drainStartedAtMs: 1n, drainGraceful: true })
  await nodes.put('node', { 'node-a': draining })
  const replicas = Array.from({ length: 1_200 }, (_, n) => readyReplica(`web-${n}`, 'node-a'))
  await nodes.put('replica', Object.fromEntries(replicas.map((r) => [r.status!.id, r])))
  nodes.liveNodes.connected('node-a', hello('node-a'))
  nodes.start()
  await eventually(() => [...nodes.state.all('replica')].every((r) => r.record.replaceWanted))
})

test('what found no other place is taken back when its node returns', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a', { phase: NodePhase.OFFLINE }) })
  await nodes.put('workload', { 'default-web': workloadRecord() })
  const lost = { state: ReplicaState.LOST, ready: false }
  await nodes.put('replica', {
    'web-1': readyReplica('web-1', 'node-a', { lostAtMs: 5n, status: lost }),
    'web-2': replicaRecord('web-2', { status: { replaces: 'web-1' } }),
  })
  const observed = { replicaId: 'web-1', state: ReplicaState.RUNNING, ready: true }
  await nodes.start().welcome('node-a', hello('node-a', [observed]))
  const returned = nodes.state.get('replica', 'web-1')!
  assert.equal(returned.status!.state, ReplicaState.RUNNING)
  assert.equal(returned.status!.ready, true)
  assert.equal(returned.lostAtMs, 0n)
  assert.equal(nodes.state.get('replica', 'web-2'), undefined)
  assert.ok(nodes.said.some(({ what }) => what === 'replicaReclaimed'))
})

async function replacedWhileAway(t: TestContext, onReturn: string) {
  const nodes = await openNodes(t)
  await nodes.put('node', {
    'node-a': nodeRecord('node-a', { phase: NodePhase.OFFLINE }),
    'node-b': nodeRecord('node-b'),
  })
  const spec = { onDisconnect: { onReturn } }
  await nodes.put('workload', { 'default-web': workloadRecord({ spec }) })
  const lost = { state: ReplicaState.LOST, ready: false }
  await nodes.put('replica', {
    'web-1': readyReplica('web-1', 'node-a', { lostAtMs: 5n, status: lost }),
    'web-2': readyReplica('web-2', 'node-b', { status: { replaces: 'web-1', createdAtMs: 6n } }),
  })
  const replica = (id: string) => nodes.state.get('replica', id)
  return { ...nodes, replica }
}

const stillRunning = { replicaId: 'web-1', state: ReplicaState.RUNNING, ready: true }

test('a node that was only cut off keeps its replica, and the one made meanwhile is stopped', async (t) => {
  const nodes = await replacedWhileAway(t, '')
  nodes.liveNodes.connected('node-a', hello('node-a'))
  nodes.liveNodes.connected('node-b', hello('node-b'))
  await nodes.start().welcome('node-a', hello('node-a', [stillRunning]))
  assert.equal(nodes.replica('web-1')!.status!.ready, true)
  assert.equal(nodes.replica('web-2')!.replaceReason, 'returned')
  nodes.startWorkloads()
  await eventually(() => nodes.replica('web-2')!.stopping)
  assert.equal(nodes.replica('web-1')!.stopping, false)
  const returned = nodes.said.find(({ what }) => what === 'nodeReturned')
  assert.deepEqual(
    { ...(returned!.args[1] as object), awayMs: 0 },
    { awayMs: 0, kept: 1, fenced: 0 },
  )
})

test('what is fenced stays so, also when its replacement is lost before it is gone', async (t) => {
  const nodes = await replacedWhileAway(t, 'replacement')
  nodes.liveNodes.connected('node-a', hello('node-a'))
  const controller = nodes.start()
  await controller.welcome('node-a', hello('node-a', [stillRunning]))
  assert.equal(nodes.replica('web-1')!.stopReason, 'fenced')
  const lost = { state: ReplicaState.LOST, ready: false, replaces: 'web-1' }
  await nodes.put('replica', { 'web-2': readyReplica('web-2', 'node-b', { status: lost }) })
  await controller.welcome('node-a', hello('node-a', [stillRunning]))
  assert.equal(nodes.replica('web-1')!.stopping, true)
  assert.equal(nodes.said.filter(({ what }) => what === 'replicaFenced').length, 1)
  await controller.welcome('node-a', hello('node-a', [{ ...stillRunning, removed: true }]))
  assert.equal(nodes.replica('web-1'), undefined)
})

test('what a returning node has no more is forgotten if it was to go, kept if it was to run', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  await nodes.put('replica', {
    'web-1': stopping(readyReplica('web-1', 'node-a'), 'scaled', undefined),
    'web-2': readyReplica('web-2', 'node-a'),
    'web-3': readyReplica('web-3', 'node-a', { status: { state: ReplicaState.LOST } }),
  })
  await nodes.start().welcome('node-a', hello('node-a'))
  assert.equal(nodes.state.get('replica', 'web-1'), undefined)
  assert.ok(nodes.state.get('replica', 'web-2'))
  assert.equal(nodes.state.get('replica', 'web-3'), undefined)
})

test('who is no member is refused', async (t) => {
  const nodes = await openNodes(t)
  await assert.rejects(nodes.start().welcome('node-x', hello('node-x')), {
    code: 'permission_denied',
  })
})

test('a welcome stores what the agent says of its machine', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a', { phase: NodePhase.ENROLLING }) })
  const controller = nodes.start()
  nodes.liveNodes.connected('node-a', hello('node-a'))
  const greeting = create(HelloSchema, {
    nodeId: 'node-a',
    instanceId: 'i-2',
    bootId: 'b-2',
    agentVersion: '9.9.9',
    addresses: ['192.0.2.1'],
    allocatable: { cpuMillicores: 7 },
  })
  const record = await controller.welcome('node-a', greeting)
  assert.equal(record.node!.agentVersion, '9.9.9')
  assert.deepEqual(record.node!.addresses, ['192.0.2.1'])
  assert.equal(record.node!.allocatable!.cpuMillicores, 7)
  assert.equal(record.instanceId, 'i-2')
  await eventually(() => nodes.phase('node-a') === NodePhase.READY)
})

test('uncordoning in the middle of a drain keeps what is still there', async (t) => {
  const nodes = await openNodes(t)
  const drain = { drainStartedAtMs: 1n, drainGraceful: true }
  await nodes.put('node', { 'node-a': nodeRecord('node-a', drain) })
  await nodes.put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  nodes.liveNodes.connected('node-a', hello('node-a'))
  nodes.start()
  await eventually(() => nodes.state.get('replica', 'web-1')!.replaceWanted)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  await eventually(() => !nodes.state.get('replica', 'web-1')!.replaceWanted)
})

test('a forced drain stops what is left at its deadline, and what others decided before is refused', async (t) => {
  const nodes = await openNodes(t)
  const drain = { drainStartedAtMs: 1n, drainDeadlineMs: 2n, drainGraceful: true, drainForce: true }
  await nodes.put('workload', { 'default-web': workloadRecord() })
  await nodes.put('replica', { 'web-1': readyReplica('web-1', 'node-a', { replaceWanted: true }) })
  await nodes.put('node', { 'node-a': nodeRecord('node-a', drain) })
  const { modRevision } = nodes.state.held('workload', 'default-web')!
  nodes.liveNodes.connected('node-a', hello('node-a'))
  nodes.start()
  await eventually(() => nodes.state.get('replica', 'web-1')!.stopping)
  assert.equal(nodes.state.get('replica', 'web-1')!.stopReason, 'drained')
  assert.ok(nodes.state.held('workload', 'default-web')!.modRevision > modRevision)
  assert.equal(nodes.said.filter(({ what }) => what === 'drainStuck').length, 0)
})

test('a drain that has nowhere to go says why, and goes on trying', async (t) => {
  const nodes = await openNodes(t)
  const drain = { drainStartedAtMs: 1n, drainDeadlineMs: 2n, drainGraceful: true }
  await nodes.put('workload', { 'default-web': workloadRecord() })
  await nodes.put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  await nodes.put('node', { 'node-a': nodeRecord('node-a', drain) })
  nodes.liveNodes.connected('node-a', hello('node-a'))
  nodes.start()
  nodes.startWorkloads()
  const stuck = () => nodes.said.filter(({ what }) => what === 'drainStuck')
  await eventually(() => stuck().length === 1)
  assert.equal(nodes.state.get('replica', 'web-1')!.stopping, false)
  const [, left, waiting] = stuck()[0]!.args as [unknown, number, string[]]
  assert.equal(left, 1)
  assert.match(waiting[0]!, /^web-1: /)
})

test('a finished drain is said once, and again for the next drain', async (t) => {
  const nodes = await openNodes(t)
  const said = () => nodes.said.filter(({ what }) => what === 'nodeDrained').length
  await nodes.put('node', { 'node-a': nodeRecord('node-a', { drainStartedAtMs: 1n }) })
  await nodes.put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  nodes.liveNodes.connected('node-a', hello('node-a'))
  nodes.start()
  await nodes.state.write({ writes: [deleteRecord('replica', 'web-1')] })
  await eventually(() => said() === 1)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  await nodes.put('node', { 'node-a': nodeRecord('node-a', { drainStartedAtMs: 2n }) })
  await eventually(() => said() === 2)
})

test('what a node says of itself while connected is on record, and stays when it says no more', async (t) => {
  const nodes = await openNodes(t)
  await nodes.put('node', { 'node-a': nodeRecord('node-a') })
  const controller = nodes.start()
  const first = create(HelloSchema, {
    nodeId: 'node-a',
    instanceId: 'i-1',
    runtimeReady: true,
    allocatable: { cpuMillicores: 1_800 },
    capabilities: { architecture: 'arm64', powerSource: PowerSource.MAINS },
  })
  nodes.liveNodes.connected('node-a', first)
  await controller.welcome('node-a', first)
  const heartbeat = create(HeartbeatRequestSchema, {
    nodeId: 'node-a',
    allocatable: { cpuMillicores: 900 },
    capabilities: { architecture: 'arm64', powerSource: PowerSource.BATTERY },
  })
  nodes.liveNodes.heartbeat('node-a', heartbeat)
  const node = () => nodes.state.get('node', 'node-a')!.node!
  await eventually(() => node().allocatable?.cpuMillicores === 900)
  assert.equal(node().capabilities?.powerSource, PowerSource.BATTERY)
  nodes.liveNodes.heartbeat('node-a', create(HeartbeatRequestSchema, { nodeId: 'node-a' }))
  await eventually(() => nodes.phase('node-a') === NodePhase.READY)
  assert.equal(node().allocatable?.cpuMillicores, 900)
})
