import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  ClusterRecordSchema,
  NodeCapabilitiesSchema,
  NodePhase,
  NodePolicySchema,
  ReplicaState,
  WorkloadType,
  SchedulerConfigurationSchema,
  type ReplicaRecord,
} from '@cloudless/api'
import { explain, type ClusterTable, type PendingReplica } from '@cloudless/scheduler'
import { clusterRecordId } from '../state/cluster-record.ts'
import { deleteRecord, putRecord } from '../state/cluster-state.ts'
import { cleanUp, openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, replicaRecord } from '../testing/records.ts'
import { createView, openScheduling, schedulerDefaults } from '../testing/scheduling.ts'
import type { ViewChange } from './scheduler-view.ts'

async function openView(t: TestContext) {
  const cluster = await openCluster(t)
  const { report } = recordingReporter()
  const scheduling = openScheduling(t, cluster.state, report)
  await scheduling.controller.close()
  await scheduling.preemption.close()
  return { ...cluster, ...scheduling }
}

const requests = { cpuMillicores: 500, memoryBytes: 1n << 30n }

function replica(id: string, status: object, rest: object = {}): ReplicaRecord {
  return replicaRecord(id, {
    ...rest,
    spec: { resources: { requests } } as never,
    status: { workloadId: `default-${id.split('-')[0]}`, ...status },
  })
}

/** What the table makes the scheduler think, and what is reserved. */
function thoughts(table: ClusterTable, pending: PendingReplica): unknown {
  return [
    explain(table, pending),
    [...table.nodes()]
      .map((node) => [
        node,
        table.reservedOn(node.id),
        table
          .replicasOn(node.id)
          .map((r) => r.id)
          .sort(),
      ])
      .sort(([a], [b]) => ((a as { id: string }).id < (b as { id: string }).id ? -1 : 1)),
  ]
}

const nodeIds = ['node-a', 'node-b', 'node-c']
const phases = [NodePhase.READY, NodePhase.CORDONED, NodePhase.OFFLINE]
const states = [ReplicaState.PENDING, ReplicaState.RUNNING, ReplicaState.LOST]

const step = fc.oneof(
  fc.record({
    kind: fc.constant('node' as const),
    id: fc.constantFrom(...nodeIds),
    phase: fc.constantFrom(...phases),
    zone: fc.constantFrom('a', 'b'),
    cpu: fc.constantFrom(1_000, 4_000),
  }),
  fc.record({ kind: fc.constant('no-node' as const), id: fc.constantFrom(...nodeIds) }),
  fc.record({
    kind: fc.constant('replica' as const),
    id: fc.constantFrom('web-1', 'web-2', 'db-1'),
    nodeId: fc.constantFrom('', ...nodeIds),
    nominated: fc.constantFrom('', ...nodeIds),
    state: fc.constantFrom(...states),
    stopping: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('no-replica' as const), id: fc.constantFrom('web-1', 'db-1') }),
  fc.record({ kind: fc.constant('overcommit' as const), ratio: fc.constantFrom(1, 2) }),
)

test('after any history the view is the one that would be made anew', async (t) => {
  const { state, view, liveNodes } = await openView(t)
  const pending = view.pendingOf(replica('web-9', {}))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (history) => {
      for (const change of history) await state.write({ writes: [writeOf(change)] })
      const fresh = createView(state, liveNodes)
      assert.deepEqual(thoughts(view.table, pending), thoughts(fresh.table, pending))
      fresh.close()
    }),
    { numRuns: 60, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
})

function writeOf(change: typeof step extends fc.Arbitrary<infer One> ? One : never) {
  switch (change.kind) {
    case 'node': {
      const { id, phase, zone, cpu } = change
      const allocatable = { cpuMillicores: cpu, memoryBytes: 1n << 33n }
      return putRecord(
        'node',
        id,
        nodeRecord(id, { phase, node: { zone, allocatable: allocatable as never } }),
      )
    }
    case 'no-node':
      return deleteRecord('node', change.id)
    case 'replica': {
      const { id, nodeId, nominated, state, stopping } = change
      const status = { nodeId, nominatedNodeId: nominated, state }
      return putRecord('replica', id, replica(id, status, { stopping }))
    }
    case 'no-replica':
      return deleteRecord('replica', change.id)
    case 'overcommit': {
      const scheduler = create(SchedulerConfigurationSchema, { cpuOvercommit: change.ratio })
      return putRecord('cluster', clusterRecordId, create(ClusterRecordSchema, { scheduler }))
    }
  }
}

test('a node is never promised more than it has, unless an operator has said how much more', async (t) => {
  const { put, view } = await openView(t)
  const allocatable = { cpuMillicores: 1_000, memoryBytes: 1n << 30n }
  await put('node', {
    'node-a': nodeRecord('node-a', { node: { allocatable: allocatable as never } }),
  })
  assert.equal(view.table.node('node-a')!.allocatable.cpuMillis, 1_000)
  const scheduler = create(SchedulerConfigurationSchema, {
    cpuOvercommit: 2.5,
    memoryOvercommit: 1.5,
  })
  await put('cluster', { [clusterRecordId]: create(ClusterRecordSchema, { scheduler }) })
  assert.equal(view.configuration().cpuOvercommit, 2.5)
  assert.equal(view.table.node('node-a')!.allocatable.cpuMillis, 2_500)
  assert.equal(view.table.node('node-a')!.allocatable.memoryBytes, 1.5 * 2 ** 30)
})

test('what a node lets containers have is seen as it was told, every part of it', async (t) => {
  const { put, view } = await openView(t)
  const policy = create(NodePolicySchema, {
    allowPrivileged: true,
    allowHostNamespaces: true,
    hostPathPrefixes: ['/srv'],
    runtimeClasses: ['runc'],
    volumeSources: ['hostPath'],
    seccompProfiles: ['own'],
    securityModules: ['selinux'],
  })
  const capabilities = create(NodeCapabilitiesSchema, { policy })
  await put('node', {
    'node-a': nodeRecord('node-a', { node: { capabilities } }),
    'node-b': nodeRecord('node-b'),
  })
  const { $typeName, ...facts } = policy
  assert.equal($typeName, 'cloudless.api.v1.NodePolicy')
  assert.deepEqual(view.table.node('node-a')!.policy, facts)
  assert.equal(view.table.node('node-b')!.policy, undefined)
})

test('says which nodes changed or gave something back, and nothing when nothing did', async (t) => {
  const { put, state, view } = await openView(t)
  const told: ViewChange[] = []
  cleanUp(
    t,
    view.listen((change) => told.push(change)),
  )
  const last = (): unknown => {
    const { nodeIds, replicasMoved, everything } = told.at(-1)!
    return [[...nodeIds], replicasMoved, everything]
  }
  await put('node', { 'node-a': nodeRecord('node-a') })
  assert.deepEqual(last(), [['node-a'], false, false])
  await put('replica', { 'web-1': replica('web-1', { nodeId: 'node-a' }) })
  assert.deepEqual(last(), [[], true, false])
  const before = told.length
  await put('replica', { 'web-1': replica('web-1', { nodeId: 'node-a', message: 'as it was' }) })
  await put('node', { 'node-a': nodeRecord('node-a', { bootId: 'another' }) })
  assert.equal(told.length, before)
  await state.write({ writes: [deleteRecord('replica', 'web-1')] })
  assert.deepEqual(last(), [['node-a'], true, false])
  await put('cluster', {
    [clusterRecordId]: create(ClusterRecordSchema, {
      scheduler: create(SchedulerConfigurationSchema, { packing: 'spread' }),
    }),
  })
  assert.deepEqual(last(), [[], false, true])
})

test("what is lost or being stopped takes room and is nobody's neighbour", async (t) => {
  const { put, view } = await openView(t)
  await put('node', { 'node-a': nodeRecord('node-a') })
  await put('replica', {
    'web-1': replica('web-1', { nodeId: 'node-a', state: ReplicaState.LOST }),
    'web-2': replica('web-2', { nodeId: 'node-a' }, { stopping: true }),
    'web-3': replica('web-3', { nominatedNodeId: 'node-a' }),
    'web-4': replica('web-4', { nodeId: 'node-a' }),
  })
  assert.deepEqual(
    view.table.replicasOn('node-a').map(({ id, holding }) => [id, holding]),
    [
      ['web-1', 'leaving'],
      ['web-2', 'leaving'],
      ['web-3', 'nominated'],
      ['web-4', 'holding'],
    ],
  )
  assert.equal(view.table.reservedOn('node-a').cpuMillis, 2_000)
})

test('an attempt of a job that is over takes no room, and gives back what it had', async (t) => {
  const { put, view } = await openView(t)
  await put('node', { 'node-a': nodeRecord('node-a') })
  const spec = { ...replica('job-1', {}).spec!, type: WorkloadType.JOB }
  await put('replica', { 'job-1': { ...replica('job-1', { nodeId: 'node-a' }), spec } })
  assert.equal(view.table.replicasOn('node-a').length, 1)
  const over = replica('job-1', { nodeId: 'node-a', finishedAtMs: 1n })
  await put('replica', { 'job-1': { ...over, spec } })
  assert.deepEqual(view.table.replicasOn('node-a'), [])
})

test('settings nobody has changed are those of the file', async (t) => {
  const { view } = await openView(t)
  assert.deepEqual(view.configuration(), schedulerDefaults)
})
