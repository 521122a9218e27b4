import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodePhase } from '@cloudless/api'
import { eventually, openCluster, openState, openStore } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { absent, deleteRecord, putRecord, unchanged, type RecordChange } from './cluster-state.ts'
import { keyOf } from './records.ts'

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
