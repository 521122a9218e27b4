import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleteRecord } from '../state/cluster-state.ts'
import { openCluster } from '../testing/cluster.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { SpareReplicas } from './spare-replicas.ts'

interface Case {
  readonly what: string
  readonly replicas: number
  readonly minAvailable?: number
  readonly ready: number
  readonly starting?: number
  readonly outdated?: number
  readonly spare: number
}

const cases: readonly Case[] = [
  { what: 'by default all but one must be there', replicas: 3, ready: 3, spare: 1 },
  { what: 'one by itself is never spare by default', replicas: 1, ready: 1, spare: 0 },
  { what: 'ready ones above the floor are', replicas: 5, minAvailable: 2, ready: 5, spare: 3 },
  { what: 'at the floor none is', replicas: 5, minAvailable: 2, ready: 2, spare: 0 },
  { what: 'below the floor none is', replicas: 5, minAvailable: 2, ready: 1, spare: 0 },
  {
    what: 'starting ones do not count',
    replicas: 5,
    minAvailable: 2,
    ready: 3,
    starting: 2,
    spare: 1,
  },
  {
    what: 'without a floor all are',
    replicas: 5,
    minAvailable: 0,
    ready: 2,
    starting: 3,
    spare: 5,
  },
  { what: 'during an update too', replicas: 5, minAvailable: 2, ready: 3, outdated: 2, spare: 3 },
  { what: 'a large floor is too', replicas: 200, minAvailable: 150, ready: 200, spare: 50 },
  {
    what: 'but not during an update',
    replicas: 200,
    minAvailable: 150,
    ready: 190,
    outdated: 10,
    spare: 0,
  },
]

for (const { what, replicas, minAvailable, ready, starting = 0, outdated = 0, spare } of cases) {
  test(`spare: ${what}`, async (t) => {
    const { put, state } = await openCluster(t)
    const rollout = minAvailable === undefined ? {} : { rollout: { minAvailable } }
    await put('workload', {
      'default-web': workloadRecord({ revision: 2n, spec: { replicas, ...rollout } }),
    })
    const now = { status: { revision: 2n } }
    for (let n = 0; n < ready; n++)
      await put('replica', { [`r${n}`]: readyReplica(`r${n}`, 'a', now) })
    for (let n = 0; n < starting; n++)
      await put('replica', { [`s${n}`]: replicaRecord(`s${n}`, now) })
    for (let n = 0; n < outdated; n++)
      await put('replica', { [`o${n}`]: readyReplica(`o${n}`, 'a') })
    assert.equal(new SpareReplicas(state).of('default-web'), spare)
  })
}

test('what is spare follows the replicas', async (t) => {
  const { put, state } = await openCluster(t)
  const spare = new SpareReplicas(state)
  state.listen((changes) => {
    for (const change of changes) if (change.kind === 'replica') spare.follow(change as never)
  })
  assert.equal(spare.of('default-web'), 0)
  await put('workload', { 'default-web': workloadRecord({ spec: { replicas: 3 } }) })
  for (const id of ['web-1', 'web-2', 'web-3']) {
    await put('replica', { [id]: readyReplica(id, 'node-a') })
  }
  assert.equal(spare.of('default-web'), 1)
  await state.write({ writes: [deleteRecord('replica', 'web-3')] })
  assert.equal(spare.of('default-web'), 0)
})

test('a stop is refused when one of those that were to stay has gone meanwhile', async (t) => {
  const { put, state, store } = await openCluster(t)
  await put('workload', { 'default-web': workloadRecord({ spec: { replicas: 3 } }) })
  for (const id of ['web-1', 'web-2', 'web-3']) {
    await put('replica', { [id]: readyReplica(id, 'node-a') })
  }
  const guards = new SpareReplicas(state).guards('default-web', new Set(['web-1']), false)
  assert.equal(guards.length, 3)
  const stop = { preconditions: guards, writes: [deleteRecord('replica', 'web-1')] }
  await store.transact({ writes: [deleteRecord('replica', 'web-2')] })
  assert.equal((await store.transact(stop)).kind, 'refused')
})

test('with many conditions a workload that is as its spec says needs only itself', async (t) => {
  const { put, state } = await openCluster(t)
  await put('workload', { 'default-web': workloadRecord({ spec: { replicas: 3 } }) })
  for (const id of ['web-1', 'web-2', 'web-3']) {
    await put('replica', { [id]: readyReplica(id, 'node-a') })
  }
  const spare = new SpareReplicas(state)
  assert.deepEqual(
    [spare.guardCount('default-web', false), spare.guardCount('default-web', true)],
    [3, 1],
  )
  assert.equal(spare.guards('default-web', new Set(['web-1']), true).length, 1)
})
