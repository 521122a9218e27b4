import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NodePhase } from '@cloudless/api'
import type { ListOptions, MetadataStore } from '@cloudless/metadata'
import { eventually, openCluster, openState, openStore } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { absent, deleteRecord, putRecord, unchanged, type RecordChange } from './cluster-state.ts'
import { encodeRecord, keyOf } from './records.ts'

test('a write is seen by the next read', async (t) => {
  const { state } = await openCluster(t)
  for (let n = 0; n < 20; n++) {
    const node = nodeRecord('node-a', { bootId: `boot-${n}` })
    await state.write({ writes: [putRecord('node', 'node-a', node)] })
    assert.equal(state.get('node', 'node-a')!.bootId, `boot-${n}`)
  }
  await state.write({ writes: [deleteRecord('node', 'node-a')] })
  assert.equal(state.get('node', 'node-a'), undefined)
  assert.equal(state.findNode('a'), undefined)
})

test('a restarted coordinator sees everything that was stored', async (t) => {
  const store = await openStore(t)
  const before = await openState(t, store)
  await before.write({
    writes: [
      putRecord('node', 'node-a', nodeRecord('node-a')),
      putRecord('workload', 'default-web', workloadRecord()),
      putRecord('replica', 'web-1', readyReplica('web-1', 'node-a')),
      putRecord('replica', 'web-2', replicaRecord('web-2')),
      { kind: 'put', key: 'events/1', value: new Uint8Array([7]) },
    ],
  })
  const after = await openState(t, store)
  assert.equal(after.revision, before.revision)
  assert.deepEqual(after.get('node', 'node-a'), before.get('node', 'node-a'))
  assert.equal(after.replicasOfWorkload('default-web').length, 2)
  assert.deepEqual(
    after.replicasOnNode('node-a').map(({ id }) => id),
    ['web-1'],
  )
  assert.equal(after.findNode('a')?.id, 'node-a')
  await before.write({ writes: [deleteRecord('replica', 'web-1')] })
  await eventually(() => after.count('replica') === 1)
})

test('a stale decision is made again on what is true now', async (t) => {
  const { state, put, store } = await openCluster(t)
  await put('workload', { 'default-web': workloadRecord() })
  let decisions = 0
  const seen = await state.update(() => {
    decisions += 1
    const held = state.held('workload', 'default-web')!
    // Somebody else is faster, once.
    if (decisions === 1) void put('workload', { 'default-web': workloadRecord({ revision: 5n }) })
    return {
      preconditions: [unchanged('workload', held)],
      writes: [putRecord('workload', 'default-web', held.record)],
      result: held.record.workload!.revision,
    }
  })
  assert.equal(decisions, 2)
  assert.equal(seen, 5n)
  assert.ok(await store.get(keyOf('workload', 'default-web')))
})

test('a hundred that change one record at once all succeed, none unseen', async (t) => {
  const { state, put } = await openCluster(t)
  await put('workload', { 'default-web': workloadRecord({ revision: 0n }) })
  const add = () =>
    state.update(() => {
      const held = state.held('workload', 'default-web')!
      const { workload } = held.record
      const record = {
        ...held.record,
        workload: { ...workload!, revision: workload!.revision + 1n },
      }
      return {
        preconditions: [unchanged('workload', held)],
        writes: [putRecord('workload', 'default-web', record)],
        result: undefined,
      }
    })
  await Promise.all(Array.from({ length: 100 }, add))
  assert.equal(state.get('workload', 'default-web')!.workload!.revision, 100n)
})

test('a change that can never be made is given up as a conflict', async (t) => {
  const { state, put } = await openCluster(t)
  await put('node', { 'node-a': nodeRecord('node-a') })
  const never = () => ({
    preconditions: [absent('node', 'node-a')],
    writes: [putRecord('node', 'node-a', nodeRecord('node-a'))],
    result: undefined,
  })
  await assert.rejects(state.update(never), { code: 'conflict' })
  // And those behind it go on.
  assert.equal(await state.update(() => ({ preconditions: [], writes: [], result: 7 })), 7)
})

test('listeners are told each change with what was before and after, in order', async (t) => {
  const { state, put } = await openCluster(t)
  const heard: RecordChange[] = []
  const stop = state.listen((changes) => heard.push(...changes))
  await put('node', { 'node-a': nodeRecord('node-a', { phase: NodePhase.ENROLLING }) })
  await put('node', { 'node-a': nodeRecord('node-a') })
  await state.write({ writes: [deleteRecord('node', 'node-a')] })
  stop()
  await put('node', { 'node-b': nodeRecord('node-b') })
  const phases = heard.map(({ before, after }) =>
    [before, after].map(
      (record) => (record as never as ReturnType<typeof nodeRecord>)?.node!.status!.phase,
    ),
  )
  assert.deepEqual(phases, [
    [undefined, NodePhase.ENROLLING],
    [NodePhase.ENROLLING, NodePhase.READY],
    [NodePhase.READY, undefined],
  ])
})

test('the indexes follow a replica from place to place', async (t) => {
  const { state, put } = await openCluster(t)
  const onNode = (id: string) => state.replicasOnNode(id).map((held) => held.id)
  await put('replica', { 'web-1': replicaRecord('web-1') })
  assert.deepEqual(onNode(''), [], 'waiting for a place is no place')
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  await put('replica', { 'web-1': readyReplica('web-1', 'node-b') })
  assert.deepEqual(onNode('node-a'), [])
  assert.deepEqual(onNode('node-b'), ['web-1'])
  assert.equal(state.replicaCountOnNode('node-b'), 1)
})

test('a name taken over in one transaction belongs to the newer node', async (t) => {
  const { state, put } = await openCluster(t)
  await put('node', { 'node-a': nodeRecord('node-a', { node: { id: 'node-a', name: 'pi' } }) })
  await state.write({
    writes: [
      putRecord('node', 'node-b', nodeRecord('node-b', { node: { id: 'node-b', name: 'pi' } })),
      deleteRecord('node', 'node-a'),
    ],
  })
  assert.equal(state.findNode('pi')?.id, 'node-b')
})

test('a record of a newer version is refused with what to do', async (t) => {
  const store = await openStore(t)
  await store.transact({
    writes: [{ kind: 'put', key: 'nodes/node-a', value: new Uint8Array([99, 1]) }],
  })
  await assert.rejects(openState(t, store), { code: 'corrupt_data', message: /upgrade/ })
})

test('what this process wrote is kept as it was written, others read it from the store', async (t) => {
  const { state, store } = await openCluster(t)
  const other = await openState(t, store)
  const replica = readyReplica('web-1', 'node-a')
  await state.write({ writes: [putRecord('replica', 'web-1', replica)] })
  assert.equal(state.get('replica', 'web-1'), replica)
  await eventually(() => other.count('replica') === 1)
  assert.notEqual(other.get('replica', 'web-1'), replica)
  assert.deepEqual(other.get('replica', 'web-1'), replica)
})

test('a write that is refused leaves nothing of itself in the picture', async (t) => {
  const { state, put } = await openCluster(t)
  await put('replica', { 'web-1': replicaRecord('web-1') })
  const stale = readyReplica('web-1', 'node-a')
  const { kind } = await state.write({
    preconditions: [absent('replica', 'web-1')],
    writes: [putRecord('replica', 'web-1', stale)],
  })
  assert.equal(kind, 'refused')
  const { id, record } = state.held('replica', 'web-1')!
  await put('replica', { 'web-1': { ...record, replaceWanted: true } })
  assert.equal(state.get('replica', id)!.replaceWanted, true)
  assert.deepEqual(state.replicasOnNode('node-a'), [])
})

const histories = fc.array(
  fc.record({
    writer: fc.nat(1),
    id: fc.constantFrom('web-1', 'web-2', 'web-3'),
    change: fc.constantFrom('put', 'delete', 'refused'),
    workloadId: fc.constantFrom('default-a', 'default-b'),
    nodeId: fc.constantFrom('', 'node-a', 'node-b'),
    image: fc.constantFrom('nginx', 'httpd'),
    waits: fc.boolean(),
  }),
  { maxLength: 40 },
)

test('after any history of two writers, each picture is the one that the store gives', async (t) => {
  const store = await openStore(t)
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      await store.transact({ writes: [{ kind: 'delete-prefix', prefix: 'replicas/' }] })
      const states = [await openState(t, store), await openState(t, store)] as const
      const writing: Promise<unknown>[] = []
      for (const { writer, id, change, image, waits, ...status } of history) {
        const record = replicaRecord(id, { spec: { image }, status })
        const writes = [
          change === 'delete' ? deleteRecord('replica', id) : putRecord('replica', id, record),
        ]
        const preconditions =
          change === 'refused' ? [{ kind: 'exists' as const, key: 'replicas/none' }] : []
        writing.push(states[writer as 0 | 1].write({ preconditions, writes }))
        if (waits) await Promise.all(writing)
      }
      await Promise.all(writing)
      const fresh = await openState(t, store)
      for (const state of states) {
        await state.caughtUp(fresh.revision)
        for (const workloadId of ['default-a', 'default-b']) {
          assert.deepEqual(
            sorted(state.replicasOfWorkload(workloadId)),
            sorted(fresh.replicasOfWorkload(workloadId)),
          )
        }
        for (const nodeId of ['node-a', 'node-b']) {
          assert.deepEqual(
            sorted(state.replicasOnNode(nodeId)),
            sorted(fresh.replicasOnNode(nodeId)),
          )
        }
        assert.deepEqual(sorted([...state.all('replica')]), sorted([...fresh.all('replica')]))
      }
    }),
    { numRuns: 25 },
  )
})

function sorted(held: readonly { readonly id: string }[]): readonly unknown[] {
  return held.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

test('a store of more records than one page holds is read whole', async (t) => {
  const store = await openStore(t)
  const before = await openState(t, store)
  const ids = Array.from({ length: 6_000 }, (_, n) => `web-${n}`)
  for (let n = 0; n < ids.length; n += 100) {
    const writes = ids.slice(n, n + 100).map((id) => putRecord('replica', id, replicaRecord(id)))
    await before.write({ writes })
  }
  const after = await openState(t, store)
  assert.equal(after.count('replica'), ids.length)
  assert.equal(after.revision, before.revision)
})

test('what changes while the store is read page by page is seen once', async (t) => {
  const store = await openStore(t)
  const value = encodeRecord('replica', replicaRecord('web-9', { stopping: true }))
  for (const id of ['web-1', 'web-9']) {
    await store.transact({ writes: [putRecord('replica', id, replicaRecord(id))] })
  }
  const list = async (prefix: string, { afterKey = '' }: ListOptions = {}) => {
    const page = await store.list(prefix, { afterKey, limit: 1 })
    if (afterKey === '') {
      await store.transact({ writes: [{ kind: 'put', key: keyOf('replica', 'web-9'), value }] })
    }
    return page
  }
  const opened = Promise.withResolvers<void>()
  const watch = async function* (...asked: Parameters<MetadataStore['watch']>) {
    await opened.promise
    yield* store.watch(...asked)
  }
  const state = await openState(t, { ...store, list, watch })
  assert.equal(state.get('replica', 'web-9')!.stopping, true)
  const heard: string[] = []
  state.listen((changes) => heard.push(...changes.map(({ id }) => id)))
  opened.resolve()
  await state.write({ writes: [putRecord('replica', 'web-2', replicaRecord('web-2'))] })
  assert.deepEqual(heard, ['web-2'])
})
