import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  NodePhase,
  ReplicaState,
  WorkloadType,
  type ReplicaRecord,
  type Workload,
} from '@cloudless/api'
import { seededRandom, systemClock } from '@cloudless/base'
import { deleteRecord } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, workloadRecord, type NodeFacts } from '../testing/records.ts'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import { createView } from '../testing/scheduling.ts'
import { DaemonController } from './daemon-controller.ts'
import { withStatus } from './replica-records.ts'
import { drainTaintKey } from './taints.ts'

const id = 'default-web'

function daemon(changes: Parameters<typeof workloadRecord>[0] = {}) {
  return workloadRecord({
    ...changes,
    spec: { type: WorkloadType.DAEMON, replicas: 0, ...changes.spec },
  })
}

async function openDaemons(t: TestContext) {
  const cluster = await openCluster(t)
  const { state } = cluster
  const { report, said } = recordingReporter()
  const liveNodes = new LiveNodes(
    { clock: systemClock, onChange: () => undefined },
    livenessDefaults,
  )
  cleanUp(t, () => liveNodes.close())
  const view = createView(state, liveNodes)
  cleanUp(t, () => view.close())
  const made: string[] = []
  const watched = {
    table: view.table,
    listen: view.listen.bind(view),
    kindOfWorkload(workload: Workload) {
      made.push(workload.name)
      return view.kindOfWorkload(workload)
    },
  }
  const deps = { state, view: watched, clock: systemClock, random: seededRandom(1), report }
  const records = (): ReplicaRecord[] => state.replicasOfWorkload(id).map((held) => held.record)
  const nodesIn = (filter: (record: ReplicaRecord) => boolean): string =>
    records()
      .filter(filter)
      .map(({ status }) => status!.boundNodeId.replace('node-', ''))
      .sort()
      .join(' ')
  return {
    ...cluster,
    said,
    view,
    /** Daemons whose board was made, in that order. */
    made,
    records,
    start(): void {
      const controller = new DaemonController(deps)
      cleanUp(t, () => controller.close())
    },
    async nodes(changes: Readonly<Record<string, NodeFacts>>): Promise<void> {
      const ids = Object.entries(changes)
      await cluster.put(
        'node',
        Object.fromEntries(
          ids.map(([name, facts]) => [`node-${name}`, nodeRecord(`node-${name}`, facts)]),
        ),
      )
    },
    /** What waits is placed and gets ready, of the revision it has. */
    async allReady(): Promise<void> {
      for (const record of records()) {
        const { id: replicaId, boundNodeId, revision } = record.status!
        if (record.status!.nodeId !== '') continue
        const ready = readyReplica(replicaId, boundNodeId, {
          spec: record.spec!,
          status: { boundNodeId, revision },
        })
        await cluster.put('replica', { [replicaId]: ready })
      }
    },
    /** The agents say that what was to be stopped is gone. */
    async stopped(): Promise<void> {
      const writes = records()
        .filter(({ stopping }) => stopping)
        .map(({ status }) => deleteRecord('replica', status!.id))
      await state.write({ writes })
    },
    live: () => nodesIn((r) => !r.stopping),
    stopping: () => nodesIn((r) => r.stopping),
    desired: () => state.get('workload', id)?.daemonNodes,
  }
}

test('a daemon has one on every node that its placement allows, also on those that join', async (t) => {
  const daemons = await openDaemons(t)
  daemons.start()
  const ssd = { node: { labels: { disk: 'ssd' } } }
  await daemons.nodes({ a: ssd, b: {}, c: { ...ssd, phase: NodePhase.CORDONED } })
  const spec = { placement: { nodeSelector: { disk: 'ssd' } } }
  await daemons.put('workload', { [id]: daemon({ spec }) })
  await eventually(() => daemons.live() === 'a c')
  assert.equal(daemons.desired(), 2)
  await daemons.nodes({ d: ssd })
  await eventually(() => daemons.live() === 'a c d')
  await daemons.nodes({ b: ssd })
  await eventually(() => daemons.live() === 'a b c d' && daemons.desired() === 4)
})

test('a node that matches no more loses its daemon; one that is away or drained keeps it', async (t) => {
  const daemons = await openDaemons(t)
  daemons.start()
  await daemons.nodes({ a: {}, b: {}, c: {}, d: {}, e: {} })
  await daemons.put('workload', { [id]: daemon() })
  await eventually(() => daemons.live() === 'a b c d e')
  await daemons.allReady()
  const taint = (effect: string): NodeFacts => ({
    node: { taints: [{ key: 'x', value: '', effect }] },
  })
  await daemons.nodes({
    a: { phase: NodePhase.OFFLINE },
    b: taint('NoExecute'),
    c: taint('NoSchedule'),
    d: {
      phase: NodePhase.DRAINING,
      drainStartedAtMs: 1n,
      node: { taints: [{ key: drainTaintKey, value: 'true', effect: 'NoSchedule' }] },
    },
  })
  await eventually(() => daemons.stopping() === 'b' && daemons.desired() === 3)
  assert.equal(daemons.live(), 'a c d e')
  await daemons.stopped()
  await daemons.nodes({ b: {}, a: {} })
  await eventually(() => daemons.live() === 'a b c d e' && daemons.desired() === 5)
})

test('an update goes from node to node, and makes the next only when the last has left', async (t) => {
  const daemons = await openDaemons(t)
  daemons.start()
  await daemons.nodes({ a: {}, b: {}, c: {} })
  await daemons.put('workload', { [id]: daemon() })
  await eventually(() => daemons.live() === 'a b c')
  await daemons.allReady()
  await daemons.put('workload', { [id]: daemon({ revision: 2n }) })
  const isNew = (): number => daemons.records().filter((r) => r.status!.revision === 2n).length
  for (let round = 0; round < 3; round++) {
    await eventually(() => daemons.stopping().length === 1)
    assert.equal(daemons.records().length, 3)
    await daemons.stopped()
    await eventually(() => isNew() === round + 1)
    assert.equal(daemons.stopping(), '', 'the next waits until this one is ready')
    await daemons.allReady()
  }
  assert.equal(isNew(), 3)
})

test('what was lost with its node is waited for, and made anew when the node comes back without', async (t) => {
  const daemons = await openDaemons(t)
  await daemons.nodes({ a: {}, b: {} })
  await daemons.put('workload', { [id]: daemon() })
  daemons.start()
  await eventually(() => daemons.live() === 'a b')
  await daemons.allReady()
  const [one] = daemons.records().filter(({ status }) => status!.boundNodeId === 'node-a')
  await daemons.nodes({ a: { phase: NodePhase.OFFLINE } })
  const lost = withStatus(one!, { state: ReplicaState.LOST, ready: false })
  await daemons.put('replica', { [one!.status!.id]: lost })
  await daemons.nodes({ a: {} })
  await eventually(() => daemons.desired() === 2)
  assert.equal(daemons.records().length, 2, 'it may be taken back')
  await daemons.state.write({ writes: [deleteRecord('replica', one!.status!.id)] })
  await eventually(() => daemons.live() === 'a b')
})

test('an image that becomes known is a matter of the daemons that run it', async (t) => {
  const daemons = await openDaemons(t)
  daemons.start()
  await daemons.nodes({ a: {} })
  const other = daemon({ name: 'logs', spec: { image: 'fluentd' } })
  await daemons.put('workload', { [id]: daemon(), 'default-logs': other })
  await eventually(() => daemons.state.get('workload', 'default-logs')!.daemonNodes === 1)
  await eventually(() => daemons.desired() === 1)
  assert.deepEqual([...daemons.made].sort(), ['logs', 'web'])
  const { image } = daemons.view.kindOfWorkload(other.workload!)
  daemons.view.platformsChanged(['docker.io/library/unknown:1', image])
  await eventually(() => daemons.made.length >= 3)
  assert.deepEqual(daemons.made.slice(2), ['logs'])
})

test('a deleted daemon ends everywhere', async (t) => {
  const daemons = await openDaemons(t)
  daemons.start()
  await daemons.nodes({ a: {}, b: {} })
  await daemons.put('workload', { [id]: daemon() })
  await eventually(() => daemons.live() === 'a b')
  await daemons.allReady()
  await daemons.put('workload', { [id]: daemon({ deletedAtMs: 1n }) })
  await eventually(() => daemons.stopping() === 'a b')
  await daemons.stopped()
  await eventually(() => daemons.state.count('workload') === 0)
})

test('a thousand nodes get their daemons, more than one transaction takes', async (t) => {
  const daemons = await openDaemons(t)
  daemons.start()
  await daemons.nodes(Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`n${n}`, {}])))
  await daemons.put('workload', { [id]: daemon() })
  await eventually(
    () => daemons.records().length === 1_000,
    () => daemons.records().length,
    20_000,
  )
  assert.equal(daemons.desired(), 1_000)
  assert.deepEqual(
    daemons.said.filter(({ what }) => what === 'error'),
    [],
  )
})
