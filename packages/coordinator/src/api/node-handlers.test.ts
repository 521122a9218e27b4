import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  CordonNodeRequestSchema,
  DrainNodeRequestSchema,
  GetNodeRequestSchema,
  HelloSchema,
  ListNodesRequestSchema,
  NodeImagesSchema,
  NodePhase,
  RemoveNodeRequestSchema,
  ReplicaState,
  UncordonNodeRequestSchema,
  UpdateNodeRequestSchema,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import { nodeNameKey, nodeSubnetKey } from '../state/records.ts'
import { cleanUp, openCluster } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, workloadRecord } from '../testing/records.ts'
import { nodeHandlers } from './node-handlers.ts'

async function openHandlers(t: TestContext) {
  const cluster = await openCluster(t)
  const liveNodes = new LiveNodes(
    { clock: systemClock, onChange: () => undefined },
    livenessDefaults,
  )
  cleanUp(t, () => liveNodes.close())
  const removed: string[] = []
  const handlers = nodeHandlers(
    {
      state: cluster.state,
      clock: systemClock,
      liveNodes,
      startedAtMs: 0,
      onUpdated: () => undefined,
      onRemoved: (node) => removed.push(node.node!.id),
    },
    { rejoinWindowMs: 1_000 },
  )
  const podCidr = '10.244.1.0/24'
  const record = nodeRecord('node-a', { node: { podCidr, region: 'eu', labels: { disk: 'ssd' } } })
  await cluster.put('node', { 'node-a': record })
  await cluster.store.transact({
    writes: [nodeNameKey('a'), nodeSubnetKey(podCidr)].map((key) => ({
      kind: 'put',
      key,
      value: new TextEncoder().encode('node-a'),
    })),
  })
  return { ...cluster, handlers, liveNodes, removed, record }
}

const nodeId = 'a'

test('a drain says how far it is and what it waits for', async (t) => {
  const { handlers, put } = await openHandlers(t)
  await put('workload', { 'default-web': workloadRecord({ spec: { replicas: 2 } }) })
  await put('replica', {
    'web-1': readyReplica('web-1', 'node-a'),
    'web-2': readyReplica('web-2', 'node-a', { status: { state: ReplicaState.LOST } }),
  })
  const request = create(DrainNodeRequestSchema, { nodeId, force: true })
  const { drain } = await handlers.drainNode(request)
  assert.deepEqual([drain!.total, drain!.left, drain!.force], [1, 1, true])
  assert.equal(drain!.deadlineMs - drain!.startedAtMs, 300_000n)
  assert.deepEqual(drain!.waiting, ['web-1: stopping it would leave 0 of min_available 1'])
  const after = await handlers.uncordonNode(create(UncordonNodeRequestSchema, { nodeId }))
  assert.equal(after.drain, undefined)
})

test('a drain cordons, taints and has a deadline; an uncordon undoes all of it', async (t) => {
  const { handlers, state, record } = await openHandlers(t)
  const request = create(DrainNodeRequestSchema, { nodeId, timeoutMs: 60_000n })
  const drained = await handlers.drainNode(request)
  assert.equal(drained.unschedulable, true)
  assert.equal(drained.taints.length, 1)
  const first = state.get('node', 'node-a')!
  assert.equal(first.drainGraceful, true)
  assert.ok(first.drainDeadlineMs >= first.drainStartedAtMs + 60_000n)
  await handlers.drainNode(create(DrainNodeRequestSchema, { nodeId, graceful: false }))
  const second = state.get('node', 'node-a')!
  assert.equal(second.drainStartedAtMs, first.drainStartedAtMs)
  assert.equal(second.drainGraceful, false)
  assert.equal(second.node!.taints.length, 1)
  await handlers.uncordonNode(create(UncordonNodeRequestSchema, { nodeId }))
  const after = state.get('node', 'node-a')!
  assert.equal(after.drainStartedAtMs, 0n)
  assert.deepEqual(after.node, record.node)
})

test('a cordon says so', async (t) => {
  const { handlers } = await openHandlers(t)
  const node = await handlers.cordonNode(create(CordonNodeRequestSchema, { nodeId }))
  assert.equal(node.unschedulable, true)
})

test('a node with replicas is not removed without force', async (t) => {
  const { handlers, put, state, removed, store } = await openHandlers(t)
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  const request = create(RemoveNodeRequestSchema, { nodeId })
  await assert.rejects(handlers.removeNode(request), {
    code: 'failed_precondition',
    message: /1 replica:.*drain/,
  })
  assert.deepEqual(removed, [])
  await handlers.removeNode({ ...request, force: true })
  assert.deepEqual(removed, ['node-a'])
  assert.equal(state.count('node'), 0)
  assert.equal(state.count('replica'), 0)
  assert.ok(state.get('removed', 'node-a'))
  assert.equal(await store.get(nodeNameKey('a')), undefined)
  assert.equal(await store.get(nodeSubnetKey('10.244.1.0/24')), undefined)
})

test('a dead node is removed without force: what it ran is replaced already', async (t) => {
  const { handlers, put, state } = await openHandlers(t)
  const lost = { state: ReplicaState.LOST, ready: false }
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a', { status: lost }) })
  await handlers.removeNode(create(RemoveNodeRequestSchema, { nodeId }))
  assert.equal(state.count('replica'), 0)
})

test('a node with more replicas than one transaction takes is removed', async (t) => {
  const { handlers, put, state } = await openHandlers(t)
  const ids = Array.from({ length: 1_200 }, (_, n) => `web-${n}`)
  await put('replica', Object.fromEntries(ids.map((id) => [id, readyReplica(id, 'node-a')])))
  await handlers.removeNode(create(RemoveNodeRequestSchema, { nodeId, force: true }))
  assert.equal(state.count('node'), 0)
})

test('labels and taints are set and removed by key', async (t) => {
  const { handlers } = await openHandlers(t)
  const node = await handlers.updateNode(
    create(UpdateNodeRequestSchema, {
      nodeId,
      setLabels: { tier: 'front' },
      removeLabels: ['disk'],
      setTaints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }],
    }),
  )
  assert.deepEqual(node.labels, { tier: 'front' })
  assert.equal(node.taints[0]!.key, 'k')
  const request = create(UpdateNodeRequestSchema, { nodeId, removeTaints: ['k'] })
  assert.deepEqual((await handlers.updateNode(request)).taints, [])
  const bad = create(UpdateNodeRequestSchema, { nodeId, setLabels: { '-': 'x' } })
  assert.throws(() => handlers.updateNode(bad), { code: 'invalid_argument' })
})

test('a node is found by name and by id, listed by region and label', async (t) => {
  const { handlers } = await openHandlers(t)
  const get = (id: string) => handlers.getNode(create(GetNodeRequestSchema, { nodeId: id }))
  assert.equal(get('a').id, 'node-a')
  assert.equal(get('node-a').name, 'a')
  assert.throws(() => get('b'), { code: 'not_found', message: /node list/ })
  const count = (facts: object) =>
    handlers.listNodes(create(ListNodesRequestSchema, facts)).nodes.length
  assert.equal(count({ regions: ['eu'], labelSelector: { disk: 'ssd' } }), 1)
  assert.equal(count({ regions: ['us'] }), 0)
  assert.equal(count({ labelSelector: { disk: 'hdd' } }), 0)
})

test('what is served of a node counts its replicas, what they reserve, and its images', async (t) => {
  const { handlers, put, liveNodes } = await openHandlers(t)
  const status = { resources: { cpuMillicores: 250, memoryBytes: 1_024n } as never }
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a', { status }) })
  const wallTimeMs = BigInt(systemClock.wallMs() + 120_000)
  const hello = create(HelloSchema, { nodeId: 'node-a', runtimeReady: true, wallTimeMs })
  const images = ['x.io/a:1', 'x.io/b:1'].map((name) => ({ name, digest: 'sha256:1' }))
  liveNodes.connected('node-a', { ...hello, images: create(NodeImagesSchema, { images }) })
  const node = handlers.getNode(create(GetNodeRequestSchema, { nodeId }))
  assert.equal(node.replicaCount, 1)
  assert.equal(node.imageCount, 2)
  assert.equal(node.reserved!.cpuMillicores, 250)
  assert.equal(node.reserved!.memoryBytes, 1_024n)
  assert.equal(node.status!.phase, NodePhase.READY)
  assert.ok(node.lastSeenMs > 0n)
  const skew = node.status!.conditions.find(({ type }) => type === 'ClockSkew')
  assert.match(skew!.message, /ahead.*NTP/)
})
