import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  AffinityType,
  ClusterRecordSchema,
  NodeCapabilitiesSchema,
  NodePhase,
  NodePolicySchema,
  ReplicaState,
  SchedulerConfigurationSchema,
  SecurityProfileType,
} from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { clusterRecordId } from '../state/cluster-record.ts'
import { deleteRecord, putRecord } from '../state/cluster-state.ts'
import { eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import {
  nodeRecord,
  readyReplica,
  replicaRecord,
  workloadRecord,
  type ReplicaFacts,
} from '../testing/records.ts'
import { openScheduling } from '../testing/scheduling.ts'
import { PlacementController } from './placement-controller.ts'
import type { Reporter } from './reporter.ts'

async function openPlacement(t: TestContext) {
  const cluster = await openCluster(t)
  const { state } = cluster
  const { report, said } = recordingReporter()
  const { controller, view } = openScheduling(t, state, report)
  return {
    ...cluster,
    controller,
    view,
    said,
    nodeOf: (id: string) => state.get('replica', id)?.status!.nodeId,
    errors: () => said.filter(({ what }) => what === 'error'),
  }
}

/** A node with so many thousandths of a core. */
const small = (id: string, cpuMillicores: number, facts = {}) =>
  nodeRecord(id, { node: { allocatable: { ...room, cpuMillicores } as never, ...facts } })
const room = { memoryBytes: 1n << 40n, storageBytes: 1n << 40n, bandwidthBps: 1n << 40n }

const asking = (id: string, cpuMillicores: number, facts: ReplicaFacts = {}) =>
  replicaRecord(id, {
    ...facts,
    spec: { resources: { requests: { cpuMillicores } }, ...facts.spec } as never,
    status: { ...facts.status, resources: { cpuMillicores } as never },
  })

test('a waiting replica gets a place, and it is said', async (t) => {
  const { put, state, nodeOf, said, controller } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 1_000) })
  await put('replica', { 'web-1': asking('web-1', 100) })
  await eventually(() => nodeOf('web-1') === 'node-a')
  const { status } = state.get('replica', 'web-1')!
  assert.equal(status!.state, ReplicaState.SCHEDULED)
  assert.equal(status!.nodeName, 'a')
  assert.equal(status!.fragmentId, 'frag-web-1')
  assert.ok(said.some(({ what }) => what === 'replicaPlaced'))
  assert.equal(controller.queueDepth, 0)
})

test('no node is ever given more than it has', async (t) => {
  const { put, state, controller, errors } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 1_000), 'node-b': small('node-b', 700) })
  const ids = Array.from({ length: 100 }, (_, n) => `web-${n}`)
  await put('replica', Object.fromEntries(ids.map((id, n) => [id, asking(id, 50 + (n % 5) * 30)])))
  await controller.settled()
  await eventually(() => controller.queueDepth < 100)
  await controller.settled()
  for (const [nodeId, most] of [
    ['node-a', 1_000],
    ['node-b', 700],
  ] as const) {
    const used = state
      .replicasOnNode(nodeId)
      .reduce((sum, { record }) => sum + record.status!.resources!.cpuMillicores, 0)
    assert.ok(used <= most && used > most - 200, `${nodeId}: ${used} of ${most}`)
  }
  assert.deepEqual(errors(), [])
})

for (const { spread, zones } of [
  { spread: '', zones: 3 },
  { spread: 'zone', zones: 3 },
  { spread: 'node', zones: 3 },
  { spread: 'none', zones: 1 },
]) {
  test(`three replicas with spread_topology "${spread}" are in ${zones} zones`, async (t) => {
    const { put, nodeOf } = await openPlacement(t)
    await put('node', {
      'node-a': small('node-a', 1_000, { zone: 'a' }),
      'node-b': small('node-b', 4_000, { zone: 'b' }),
      'node-c': small('node-c', 4_000, { zone: 'c' }),
    })
    const ids = ['web-1', 'web-2', 'web-3']
    const spec = { placement: { spreadTopology: spread } } as never
    await put('replica', Object.fromEntries(ids.map((id) => [id, asking(id, 50, { spec })])))
    await eventually(() => ids.every((id) => nodeOf(id)))
    assert.equal(new Set(ids.map(nodeOf)).size, zones)
  })
}

test('five hundred replicas find their places', async (t) => {
  const { put, state, errors, controller } = await openPlacement(t)
  for (let n = 0; n < 5; n++) await put('node', { [`node-${n}`]: nodeRecord(`node-${n}`) })
  const ids = Array.from({ length: 500 }, (_, n) => `web-${n}`)
  await put('replica', Object.fromEntries(ids.map((id) => [id, asking(id, 100)])))
  await eventually(() => controller.queueDepth === 0, errors, 20_000)
  assert.ok([...state.all('replica')].every(({ record }) => record.status!.nodeId !== ''))
})

test('what finds no place says why once, and gets one when there is room', async (t) => {
  const { put, state, nodeOf, said, controller } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 100) })
  await put('replica', { 'old-1': { ...readyReplica('old-1', 'node-a') } })
  await put('replica', { 'web-1': asking('web-1', 500) })
  await eventually(() => state.get('replica', 'web-1')!.status!.pendingReasons.length > 0)
  const { reason, message } = state.get('replica', 'web-1')!.status!
  assert.equal(reason, 'Unschedulable')
  assert.match(message, /^0 of 1 nodes?: 1 .*(cpu|CPU)/)
  await controller.settled()
  await state.write({ writes: [deleteRecord('replica', 'old-1')] })
  await controller.settled()
  const unplaceable = said.filter(({ what }) => what === 'replicaUnplaceable')
  assert.equal(unplaceable.length, 1)
  await put('node', { 'node-b': small('node-b', 1_000) })
  await eventually(() => nodeOf('web-1') === 'node-b')
  assert.deepEqual(state.get('replica', 'web-1')!.status!.pendingReasons, [])
})

test('room that comes free is used', async (t) => {
  const { put, state, nodeOf, controller } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 500) })
  await put('replica', { 'web-1': asking('web-1', 500) })
  await eventually(() => nodeOf('web-1') === 'node-a')
  await put('replica', { 'web-2': asking('web-2', 500) })
  await controller.settled()
  assert.equal(nodeOf('web-2'), '')
  await state.write({ writes: [deleteRecord('replica', 'web-1')] })
  await eventually(() => nodeOf('web-2') === 'node-a')
})

for (const phase of [NodePhase.CORDONED, NodePhase.DRAINING, NodePhase.OFFLINE, NodePhase.FAILED]) {
  test(`a node in phase ${phase} is given nothing until it is ready`, async (t) => {
    const { put, state, nodeOf } = await openPlacement(t)
    await put('node', { 'node-a': nodeRecord('node-a', { phase }) })
    await put('replica', { 'web-1': asking('web-1', 100) })
    await eventually(() => state.get('replica', 'web-1')!.status!.pendingReasons.length > 0)
    assert.equal(nodeOf('web-1'), '')
    await put('node', { 'node-a': nodeRecord('node-a') })
    await eventually(() => nodeOf('web-1') === 'node-a')
  })
}

test('what replaces a drained one does not go where that one is', async (t) => {
  const { put, nodeOf, state } = await openPlacement(t)
  await put('node', { 'node-a': nodeRecord('node-a') })
  const leaving = { replaceWanted: true, replaceReason: 'drained' }
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a', leaving) })
  await put('replica', { 'web-2': asking('web-2', 100, { status: { replaces: 'web-1' } }) })
  await eventually(() => state.get('replica', 'web-2')!.status!.pendingReasons.length > 0)
  await put('node', { 'node-b': nodeRecord('node-b') })
  await eventually(() => nodeOf('web-2') === 'node-b')
})

test('what stands in for one to be moved says who stays; a newer revision may take its node', async (t) => {
  const { put, nodeOf, state } = await openPlacement(t)
  await put('node', { 'node-a': nodeRecord('node-a') })
  await put('workload', { 'default-web': workloadRecord() })
  const leaving = { replaceWanted: true, replaceReason: 'rescheduled' }
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a', leaving) })
  await put('replica', { 'web-2': asking('web-2', 100, { status: { replaces: 'web-1' } }) })
  await eventually(() => state.get('replica', 'web-2')!.status!.message !== '')
  assert.match(state.get('replica', 'web-2')!.status!.message, /moved off; web-1 runs on/)
  const restarted = { status: { replaces: 'web-1', revision: 2n } }
  await put('replica', { 'web-3': asking('web-3', 100, restarted) })
  await eventually(() => nodeOf('web-3') === 'node-a')
})

test('what is being stopped gets no place', async (t) => {
  const { put, nodeOf, controller } = await openPlacement(t)
  await put('replica', { 'web-1': asking('web-1', 100, { stopping: true }) })
  await put('node', { 'node-a': nodeRecord('node-a') })
  await controller.settled()
  assert.equal(nodeOf('web-1'), '')
  assert.equal(controller.queueDepth, 0)
})

test('what waits is tried again only for a change that can help it', async (t) => {
  const { put, nodeOf, said, controller } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 100) })
  await put('replica', { 'web-1': asking('web-1', 500) })
  await eventually(() => said.some(({ what }) => what === 'replicaUnplaceable'))
  await controller.settled()
  const tries = (): number => said.filter(({ what }) => what === 'scheduled').length
  const before = tries()
  await put('node', { 'node-b': small('node-b', 200) })
  await put('node', { 'node-c': nodeRecord('node-c', { phase: NodePhase.CORDONED }) })
  await put('replica', { 'other-1': readyReplica('other-1', 'node-b') })
  await controller.settled()
  assert.equal(tries(), before)
  await put('node', { 'node-c': nodeRecord('node-c') })
  await eventually(() => nodeOf('web-1') === 'node-c')
})

test('the highest priority is placed first, whatever came first', async (t) => {
  const { put, nodeOf, state } = await openPlacement(t)
  const ids = Array.from({ length: 20 }, (_, n) => `web-${n}`)
  await put(
    'replica',
    Object.fromEntries(
      ids.map((id, n) => [id, asking(id, 500, { spec: { priority: n } as never })]),
    ),
  )
  await eventually(() => ids.every((id) => state.get('replica', id)!.status!.message !== ''))
  await put('node', { 'node-a': small('node-a', 1_000) })
  await eventually(() => nodeOf('web-19') === 'node-a' && nodeOf('web-18') === 'node-a')
  assert.ok(ids.slice(0, 18).every((id) => nodeOf(id) === ''))
})

test('an operator may let more be promised than there is', async (t) => {
  const { put, nodeOf } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 1_000) })
  await put('replica', { 'web-1': asking('web-1', 800), 'web-2': asking('web-2', 800) })
  await eventually(() => nodeOf('web-1') !== '' || nodeOf('web-2') !== '')
  const scheduler = create(SchedulerConfigurationSchema, { cpuOvercommit: 2 })
  await put('cluster', { [clusterRecordId]: create(ClusterRecordSchema, { scheduler }) })
  await eventually(() => nodeOf('web-1') === 'node-a' && nodeOf('web-2') === 'node-a')
})

/** Takes nothing: no room. */
const full = (facts: object, phase: NodePhase = NodePhase.READY) =>
  nodeRecord('node-b', {
    phase,
    node: { allocatable: { ...room, cpuMillicores: 50 } as never, ...facts },
  })
const near = { type: AffinityType.NODE, matchLabels: { disk: 'ssd' } }

for (const { what, placement, before, after } of [
  {
    what: 'a zone that is down',
    placement: { topologySpread: [{ topologyKey: 'zone', maxSkew: 1, required: true }] },
    before: full({ zone: 'b' }),
    after: putRecord('node', 'node-b', full({ zone: 'b' }, NodePhase.OFFLINE)),
  },
  {
    what: 'a zone that is gone',
    placement: { topologySpread: [{ topologyKey: 'zone', maxSkew: 1, required: true }] },
    before: full({ zone: 'b' }),
    after: deleteRecord('node', 'node-b'),
  },
  {
    what: 'a label nearby',
    placement: { affinity: [{ ...near, topologyKey: 'zone', required: true }] },
    before: full({ zone: 'a' }),
    after: putRecord('node', 'node-b', full({ zone: 'a', labels: { disk: 'ssd' } })),
  },
]) {
  test(`${what} helps, though its node takes nothing`, async (t) => {
    const { put, state, nodeOf, controller } = await openPlacement(t)
    await put('node', { 'node-a': small('node-a', 4_000, { zone: 'a' }), 'node-b': before })
    await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
    await put('replica', { 'web-2': asking('web-2', 100, { spec: { placement } as never }) })
    await eventually(() => state.get('replica', 'web-2')!.status!.message !== '')
    await controller.settled()
    await state.write({ writes: [after] })
    await eventually(() => nodeOf('web-2') === 'node-a')
  })
}

test('what would help a replica while it is being refused is not missed', async (t) => {
  const { put, state, nodeOf } = await openPlacement(t)
  await put('node', { 'node-a': small('node-a', 100) })
  // On its way to the store before the refusal is.
  state.listen((changes) => {
    if (changes.some(({ id, before }) => id === 'web-1' && !before)) {
      void put('node', { 'node-b': small('node-b', 1_000) })
    }
  })
  await put('replica', { 'web-1': asking('web-1', 500) })
  await eventually(() => nodeOf('web-1') === 'node-b')
})

test('room for one does not make thousands be looked at, and room for all is used', async (t) => {
  const { put, nodeOf, said, controller } = await openPlacement(t)
  const { spec } = asking('web-0', 100)
  const ids = Array.from({ length: 2_000 }, (_, n) => `web-${n}`)
  await put(
    'replica',
    Object.fromEntries(ids.map((id) => [id, { ...asking(id, 100), spec: spec! }])),
  )
  const placed = (): number => ids.filter((id) => nodeOf(id) !== '').length
  const refusals = (): number =>
    said
      .filter(({ what }) => what === 'scheduled')
      .reduce((sum, { args }) => sum + (args[0] as { unplaceable: number }).unplaceable, 0)
  await eventually(() => refusals() >= 2_000)
  await controller.settled()
  const before = refusals()
  await put('node', { 'node-a': small('node-a', 100) })
  await eventually(() => placed() === 1)
  await controller.settled()
  assert.ok(refusals() - before < 600, `${refusals() - before} were looked at`)
  await put('node', { 'node-b': small('node-b', 200_000) })
  await eventually(() => placed() === 2_000)
})

test('what does not fit into a batch is no sign of luck for others of its kind', async (t) => {
  const { put, said, controller, nodeOf } = await openPlacement(t)
  await put('node', { 'node-a': nodeRecord('node-a') })
  const lonely = { type: AffinityType.WORKLOAD, matchLabels: { app: 'nobody' }, required: true }
  for (const name of ['x', 'y', 'z']) {
    const { spec } = asking('', 100, { spec: { placement: { affinity: [lonely] } } as never })
    const one = (id: string) => ({
      ...asking(id, 100, { status: { workloadId: name } }),
      spec: spec!,
    })
    const ids = Array.from({ length: 800 }, (_, n) => `${name}-${n}`)
    await put('replica', Object.fromEntries(ids.map((id) => [id, one(id)])))
  }
  const refusals = (): number =>
    said
      .filter(({ what }) => what === 'scheduled')
      .reduce((sum, { args }) => sum + (args[0] as { unplaceable: number }).unplaceable, 0)
  await eventually(() => refusals() >= 2_400)
  await controller.settled()
  const before = refusals()
  await put('replica', { 'other-1': asking('other-1', 100) })
  await eventually(() => nodeOf('other-1') === 'node-a')
  await eventually(() => refusals() - before >= 768)
  await controller.settled()
  assert.equal(refusals() - before, 768)
})

test('what fails while it is being closed is not tried later', async (t) => {
  const { put, state, view, controller } = await openPlacement(t)
  await controller.close()
  await put('node', { 'node-a': nodeRecord('node-a') })
  await put('replica', { 'web-1': asking('web-1', 100) })
  const clock = new FakeClock()
  const report = new Proxy({} as Reporter, {
    get: (_, what) => () => {
      if (what === 'replicaPlaced') throw new Error('nobody listens any more')
    },
  })
  const closing = new PlacementController({ state, view, clock, random: seededRandom(1), report })
  await eventually(() => closing.queueDepth === 1)
  await Promise.resolve()
  await closing.close()
  assert.notEqual(state.get('replica', 'web-1')!.status!.nodeId, '', 'the batch was under way')
  assert.equal(clock.timerCount, 0)
})

test('a demand too long to be repeated in a reason does not hold up the others', async (t) => {
  const { put, state, nodeOf, errors } = await openPlacement(t)
  const capabilities = create(NodeCapabilitiesSchema, { policy: create(NodePolicySchema) })
  await put('node', { 'node-a': nodeRecord('node-a', { node: { capabilities } }) })
  const seccompProfile = { type: SecurityProfileType.LOCALHOST, localhostProfile: 'x'.repeat(4e5) }
  const spec = { securityContext: { linux: { seccompProfile } } } as never
  await put('replica', { 'web-1': asking('web-1', 100, { spec }), 'web-2': asking('web-2', 50) })
  await eventually(() => nodeOf('web-2') === 'node-a', errors)
  await eventually(() => state.get('replica', 'web-1')!.status!.message !== '', errors)
  const { message } = state.get('replica', 'web-1')!.status!
  assert.match(message, /^0 of 1 node: 1 no seccomp profile x+…$/)
  assert.ok(message.length < 250)
})
