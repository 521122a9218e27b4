import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { NodePhase, ReplicaState, type ReplicaRecord } from '@cloudless/api'
import { seededRandom, systemClock } from '@cloudless/base'
import { deleteRecord, type ClusterState } from '../state/cluster-state.ts'
import {
  cleanUp,
  eventually,
  openCluster,
  openState,
  recordingReporter,
  type TestCluster,
} from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { nodeRecord, replicaRecord, workloadRecord, type ReplicaFacts } from '../testing/records.ts'
import { openScheduling, type OpenScheduling } from '../testing/scheduling.ts'
import { PreemptionController } from './preemption.ts'
import type { Reporter } from './reporter.ts'
import { WorkloadController } from './workload-controller.ts'

interface Preempting extends TestCluster, OpenScheduling {
  readonly said: ReturnType<typeof recordingReporter>['said']
  readonly get: (id: string) => ReplicaRecord | undefined
  /** Its agent says that it is gone. */
  readonly gone: (...ids: string[]) => Promise<void>
  readonly stopped: () => string[]
  readonly nodeOf: (id: string) => string | undefined
  readonly nominatedTo: (id: string) => string | undefined
  readonly settled: () => Promise<void>
}

async function openPreempting(t: TestContext): Promise<Preempting> {
  return preemptingOn(t, await openCluster(t))
}

function preemptingOn(t: TestContext, cluster: TestCluster): Preempting {
  const { state } = cluster
  const { report, said } = recordingReporter()
  const scheduling = openScheduling(t, state, report)
  const { controller, preemption } = scheduling
  const get = (id: string): ReplicaRecord | undefined => state.get('replica', id)
  return {
    ...cluster,
    ...scheduling,
    said,
    get,
    gone: async (...ids) => {
      await state.write({ writes: ids.map((id) => deleteRecord('replica', id)) })
    },
    stopped: () => idsThat(state, ({ stopping }) => stopping),
    nodeOf: (id) => get(id)?.status!.nodeId,
    nominatedTo: (id) => get(id)?.status!.nominatedNodeId,
    settled: async () => {
      for (let n = 0; n < 3; n++) {
        await controller.settled()
        await preemption.settled()
      }
    },
  }
}

function idsThat(state: ClusterState, holds: (record: ReplicaRecord) => boolean): string[] {
  return [...state.all('replica')]
    .filter(({ record }) => holds(record))
    .map(({ id }) => id)
    .sort()
}

const room = { memoryBytes: 1n << 40n, storageBytes: 1n << 40n, bandwidthBps: 1n << 40n }
const node = (id: string, cpuMillicores: number, phase: NodePhase = NodePhase.READY) =>
  nodeRecord(id, { phase, node: { allocatable: { ...room, cpuMillicores } as never } })

/** "low-1" of workload "default-low" asks for that much. */
const replica = (id: string, cpuMillicores: number, priority: number, facts: ReplicaFacts = {}) =>
  replicaRecord(id, {
    ...facts,
    spec: { resources: { requests: { cpuMillicores } }, priority, ...facts.spec } as never,
    status: {
      workloadId: `default-${id.split('-')[0]}`,
      workloadName: id.split('-')[0]!,
      resources: { cpuMillicores } as never,
      ...facts.status,
    },
  })

const running = (id: string, nodeId: string, cpuMillicores: number, priority = 0) =>
  replica(id, cpuMillicores, priority, {
    status: { state: ReplicaState.RUNNING, ready: true, readyAtMs: 1n, nodeId, nodeName: 'x' },
  })

/** Of which none must be available, unless told otherwise. */
const workload = (name: string, replicas: number, minAvailable = 0) =>
  workloadRecord({ name, spec: { replicas, rollout: { minAvailable } } })

test('replicas of lower priority are stopped with their grace, and their room goes to the one it was made for', async (t) => {
  const cluster = await openPreempting(t)
  const { put, get, gone, nodeOf, said, stopped } = cluster
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 2) })
  await put('replica', {
    'low-1': running('low-1', 'node-a', 500),
    'low-2': running('low-2', 'node-a', 500),
  })
  await put('replica', { 'high-1': replica('high-1', 800, 200) })
  await eventually(() => stopped().length === 2)
  const victim = get('low-1')!
  assert.equal(victim.stopReason, 'preempted')
  assert.equal(victim.stopGraceMs, undefined)
  assert.equal(victim.status!.state, ReplicaState.STOPPING)
  const { nominatedNodeId, reason, message, nodeId } = get('high-1')!.status!
  assert.deepEqual([nominatedNodeId, reason, nodeId], ['node-a', 'Preempting', ''])
  assert.equal(message, 'waits for room on node "a", for which it stops low-1, low-2')
  await gone('low-1')
  await cluster.settled()
  assert.equal(nodeOf('high-1'), '')
  await gone('low-2')
  await eventually(() => nodeOf('high-1') === 'node-a')
  assert.equal(get('high-1')!.status!.nominatedNodeId, '')
  const [made] = said.filter(({ what }) => what === 'roomMade')
  assert.deepEqual(
    (made!.args[2] as ReplicaRecord[]).map(({ status }) => status!.id),
    ['low-1', 'low-2'],
  )
})

for (const { name, priority, victimPriority } of [
  { name: 'of equal priority is stopped', priority: 200, victimPriority: 200 },
  { name: 'of higher priority is stopped', priority: 200, victimPriority: 201 },
  {
    name: 'is stopped for a priority that is not above the set one',
    priority: 100,
    victimPriority: 0,
  },
]) {
  test(`nothing ${name}`, async (t) => {
    const { put, get, settled, stopped } = await openPreempting(t)
    await put('node', { 'node-a': node('node-a', 1_000) })
    await put('workload', { 'default-low': workload('low', 1) })
    await put('replica', { 'low-1': running('low-1', 'node-a', 1_000, victimPriority) })
    await put('replica', { 'high-1': replica('high-1', 500, priority) })
    await eventually(() => get('high-1')!.status!.reason === 'Unschedulable')
    await settled()
    assert.deepEqual(stopped(), [])
    assert.equal(get('high-1')!.status!.nominatedNodeId, '')
  })
}

for (const { minAvailable, stops } of [
  { minAvailable: 0, stops: 2 },
  { minAvailable: 1, stops: 2 },
  { minAvailable: 2, stops: 0 },
  { minAvailable: 3, stops: 0 },
]) {
  test(`with ${minAvailable} of three to be available, ${stops} are stopped for one that needs two's room`, async (t) => {
    const { put, get, settled, stopped } = await openPreempting(t)
    await put('node', { 'node-a': node('node-a', 1_500) })
    await put('workload', { 'default-low': workload('low', 3, minAvailable) })
    const ids = ['low-1', 'low-2', 'low-3']
    await put('replica', Object.fromEntries(ids.map((id) => [id, running(id, 'node-a', 500)])))
    await put('replica', { 'high-1': replica('high-1', 1_000, 200) })
    await eventually(() => get('high-1')!.status!.reason !== '')
    await settled()
    assert.equal(stopped().length, stops)
  })
}

test('what cannot be helped now is helped when others have become ready', async (t) => {
  const { put, get, settled, stopped } = await openPreempting(t)
  await put('node', {
    'node-a': node('node-a', 500),
    'node-b': node('node-b', 500, NodePhase.CORDONED),
  })
  await put('workload', { 'default-low': workload('low', 2, 1) })
  await put('replica', { 'low-1': running('low-1', 'node-a', 500) })
  await put('replica', { 'high-1': replica('high-1', 500, 200) })
  await eventually(() => get('high-1')!.status!.reason === 'Unschedulable')
  await settled()
  assert.deepEqual(stopped(), [])
  await put('replica', { 'low-2': running('low-2', 'node-b', 500) })
  await eventually(() => stopped().length === 1)
})

test('two that need room do not count on the same victims', async (t) => {
  const { put, get, gone, nodeOf, stopped } = await openPreempting(t)
  await put('node', { 'node-a': node('node-a', 1_000), 'node-b': node('node-b', 1_000) })
  await put('workload', { 'default-low': workload('low', 2) })
  await put('replica', {
    'low-1': running('low-1', 'node-a', 1_000),
    'low-2': running('low-2', 'node-b', 1_000),
  })
  await put('replica', {
    'high-1': replica('high-1', 700, 200),
    'other-1': replica('other-1', 700, 200),
  })
  await eventually(() => stopped().length === 2)
  const nominations = ['high-1', 'other-1'].map((id) => get(id)!.status!.nominatedNodeId)
  assert.deepEqual(nominations.sort(), ['node-a', 'node-b'])
  await gone('low-1', 'low-2')
  await eventually(() => nodeOf('high-1') !== '' && nodeOf('other-1') !== '')
})

test('a restart in the middle changes nothing', async (t) => {
  const cluster = await openCluster(t)
  const before = preemptingOn(t, cluster)
  await before.put('node', { 'node-a': node('node-a', 1_000) })
  await before.put('workload', { 'default-low': workload('low', 1) })
  await before.put('replica', { 'low-1': running('low-1', 'node-a', 1_000) })
  await before.put('replica', { 'high-1': replica('high-1', 700, 200) })
  await eventually(() => before.stopped().length === 1)
  await before.preemption.close()
  await before.controller.close()
  // While nobody looks the victim goes, and others want its room.
  await before.gone('low-1')
  await before.put('replica', {
    'low-2': replica('low-2', 700, 0),
    'also-1': replica('also-1', 700, 150),
  })
  const state = await openState(t, cluster.store)
  const after = preemptingOn(t, { ...cluster, state })
  await eventually(() => after.nodeOf('high-1') === 'node-a')
  await after.settled()
  assert.equal(after.nodeOf('low-2'), '')
  assert.equal(after.nodeOf('also-1'), '')
})

test('what stands in for a victim waits, or goes elsewhere, and stops nobody', async (t) => {
  const cluster = await openPreempting(t)
  const { put, gone, nodeOf, stopped, state, settled } = cluster
  const asking = (name: string, cpuMillicores: number, priority: number) => {
    const resources = { requests: { cpuMillicores } }
    const rollout = { minAvailable: 0 }
    return workloadRecord({ name, spec: { replicas: 1, priority, resources, rollout } })
  }
  const liveOf = (workloadId: string): string =>
    idsThat(state, (one) => one.status!.workloadId === workloadId && !one.stopping)[0] ?? ''
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': asking('low', 1_000, 150) })
  await put('replica', { 'low-1': running('low-1', 'node-a', 1_000, 150) })
  const { report } = recordingReporter()
  const workloads = new WorkloadController({
    ...{ state, clock: systemClock, random: seededRandom(1), report },
  })
  cleanUp(t, () => workloads.close())
  await put('workload', { 'default-high': asking('high', 700, 200) })
  await eventually(() => stopped().length === 1 && liveOf('default-low') !== '')
  await settled()
  const successor = liveOf('default-low')
  assert.equal(nodeOf(successor), '')
  await gone('low-1')
  await eventually(() => nodeOf(liveOf('default-high')) === 'node-a')
  await settled()
  assert.deepEqual([nodeOf(successor), stopped()], ['', []])
  await put('node', { 'node-b': node('node-b', 1_000) })
  await eventually(() => nodeOf(successor) === 'node-b')
})

test('nobody of an equal or lower priority takes room that is being made', async (t) => {
  const cluster = await openPreempting(t)
  const { put, get, gone, nodeOf, stopped, settled } = cluster
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 2) })
  await put('replica', {
    'low-1': running('low-1', 'node-a', 500),
    'low-2': running('low-2', 'node-a', 400),
  })
  await put('replica', { 'high-1': replica('high-1', 1_000, 200) })
  await eventually(() => stopped().length === 2)
  await put('replica', { 'also-1': replica('also-1', 100, 200), 'low-3': replica('low-3', 100, 0) })
  await gone('low-1')
  await eventually(() => ['also-1', 'low-3'].every((id) => get(id)!.status!.reason !== ''))
  await settled()
  assert.deepEqual(['also-1', 'low-3'].map(nodeOf), ['', ''])
  await gone('low-2')
  await eventually(() => nodeOf('high-1') === 'node-a')
})

test('a higher priority takes over room that is being made, and who loses it gets other room', async (t) => {
  const { put, get, gone, nodeOf, stopped } = await openPreempting(t)
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 2) })
  await put('replica', { 'low-1': running('low-1', 'node-a', 1_000) })
  await put('replica', { 'high-1': replica('high-1', 1_000, 200) })
  await eventually(() => stopped().length === 1)
  await put('replica', { 'low-2': running('low-2', 'node-b', 1_000, 50) })
  await put('node', { 'node-b': node('node-b', 1_000) })
  await put('replica', { 'top-1': replica('top-1', 1_000, 300) })
  await eventually(() => get('top-1')!.status!.nominatedNodeId === 'node-a')
  await eventually(() => get('high-1')!.status!.nominatedNodeId === 'node-b')
  assert.equal(stopped().length, 2)
  await gone('low-1', 'low-2')
  await eventually(() => nodeOf('top-1') === 'node-a' && nodeOf('high-1') === 'node-b')
})

for (const { what, become } of [
  { what: 'is cordoned', become: NodePhase.CORDONED },
  { what: 'is lost', become: NodePhase.OFFLINE },
  { what: 'is removed', become: undefined },
]) {
  test(`when the node ${what} room is made on another`, async (t) => {
    const { put, state, gone, nodeOf, nominatedTo, stopped } = await openPreempting(t)
    await put('node', { 'node-a': node('node-a', 1_000), 'node-b': node('node-b', 1_000) })
    await put('workload', { 'default-low': workload('low', 2) })
    await put('replica', {
      'low-1': running('low-1', 'node-a', 1_000, 1),
      'low-2': running('low-2', 'node-b', 1_000, 2),
    })
    await put('replica', { 'high-1': replica('high-1', 700, 200) })
    await eventually(() => nominatedTo('high-1') === 'node-a')
    assert.deepEqual(stopped(), ['low-1'])
    if (become === undefined) await state.write({ writes: [deleteRecord('node', 'node-a')] })
    else await put('node', { 'node-a': node('node-a', 1_000, become) })
    await eventually(() => nominatedTo('high-1') === 'node-b')
    assert.deepEqual(stopped(), ['low-1', 'low-2'])
    await gone('low-2')
    await eventually(() => nodeOf('high-1') === 'node-b')
  })
}

test('when room is found elsewhere, or the replica is not wanted any more, nothing is reserved', async (t) => {
  const { put, gone, nodeOf, nominatedTo, stopped } = await openPreempting(t)
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 2) })
  await put('replica', { 'low-1': running('low-1', 'node-a', 1_000) })
  await put('replica', { 'high-1': replica('high-1', 700, 200) })
  await eventually(() => stopped().length === 1)
  await put('node', { 'node-b': node('node-b', 1_000) })
  await eventually(() => nodeOf('high-1') === 'node-b')
  assert.equal(nominatedTo('high-1'), '')
  await put('replica', { 'also-1': replica('also-1', 700, 200) })
  await eventually(() => nominatedTo('also-1') === 'node-a')
  await gone('also-1', 'low-1')
  await put('replica', { 'low-2': replica('low-2', 1_000, 0) })
  await eventually(() => nodeOf('low-2') === 'node-a')
})

test('room that was given away after all is made anew', async (t) => {
  const { put, gone, nodeOf, stopped } = await openPreempting(t)
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 2) })
  await put('replica', { 'low-1': running('low-1', 'node-a', 600) })
  await put('replica', { 'high-1': replica('high-1', 1_000, 200) })
  await eventually(() => stopped().length === 1)
  // Placed from a picture in which the room was not reserved yet.
  await put('replica', { 'low-2': running('low-2', 'node-a', 400) })
  await eventually(() => stopped().length === 2)
  await gone('low-1', 'low-2')
  await eventually(() => nodeOf('high-1') === 'node-a')
})

test('room that will not come about is not waited for', async (t) => {
  const { put, get, gone, nominatedTo, settled, stopped } = await openPreempting(t)
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 1) })
  await put('replica', { 'low-1': running('low-1', 'node-a', 1_000) })
  await put('replica', { 'high-1': replica('high-1', 1_000, 200) })
  await eventually(() => stopped().length === 1)
  await put('replica', { 'also-1': running('also-1', 'node-a', 500, 200) })
  await eventually(() => nominatedTo('high-1') === '')
  await gone('low-1')
  await eventually(() => get('high-1')!.status!.reason === 'Unschedulable')
  await settled()
  assert.deepEqual(stopped(), [])
  assert.match(get('high-1')!.status!.message, /not enough CPU/)
})

test('more room than one transaction makes is made in several', async (t) => {
  const { put, gone, state, stopped, said } = await openPreempting(t)
  const numbers = Array.from({ length: 60 }, (_, n) => n)
  for (const n of numbers) await put('node', { [`node-${n}`]: node(`node-${n}`, 1_000) })
  await put('workload', { 'default-low': workload('low', 240, 120) })
  for (const n of numbers) {
    const ids = [0, 1, 2, 3].map((at) => `low-${n}x${at}`)
    await put('replica', Object.fromEntries(ids.map((id) => [id, running(id, `node-${n}`, 250)])))
  }
  const ids = numbers.map((n) => `high-${n}`)
  await put('replica', Object.fromEntries(ids.map((id) => [id, replica(id, 500, 200)])))
  await eventually(
    () => stopped().length === 120,
    () => stopped().length,
    20_000,
  )
  for (let n = 0; n < 120; n += 60) await gone(...stopped().slice(0, 60))
  const placed = () =>
    idsThat(state, ({ status }) => status!.workloadId === 'default-high' && status!.nodeId !== '')
  await eventually(
    () => placed().length === 60,
    () => placed().length,
    20_000,
  )
  assert.deepEqual(
    said.filter(({ what }) => what === 'error'),
    [],
  )
})

test('what fails while it is being closed is not tried later', async (t) => {
  const { put, state, view, controller, preemption, stopped } = await openPreempting(t)
  await Promise.all([controller.close(), preemption.close()])
  await put('node', { 'node-a': node('node-a', 1_000) })
  await put('workload', { 'default-low': workload('low', 1) })
  const high = replica('high-1', 800, 200)
  await put('replica', { 'low-1': running('low-1', 'node-a', 500), 'high-1': high })
  const clock = new FakeClock()
  const report = new Proxy({} as Reporter, {
    get: (_, what) => () => {
      if (what === 'roomMade') throw new Error('nobody listens any more')
    },
  })
  const deps = { state, view, clock, random: seededRandom(1), report, retry: () => {} }
  const closing = new PreemptionController(deps)
  closing.offer([{ id: 'high-1', kind: view.kindOf(high), filters: ['resources'] }])
  await Promise.resolve()
  await Promise.resolve()
  await closing.close()
  assert.deepEqual(stopped(), ['low-1'], 'the batch was under way')
  assert.equal(clock.timerCount, 0)
})
