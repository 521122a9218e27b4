import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { FragmentStatus, ReplicaState } from '@cloudless/api'
import { openCluster } from '../testing/cluster.ts'
import { readyReplica, replicaRecord, type ReplicaFacts } from '../testing/records.ts'
import { deleteRecord } from '../state/cluster-state.ts'
import { enumName } from '../state/enum-names.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { fragmentOf, ReleasedFragments } from './fragments.ts'

const here = { nodeId: 'node-a' }
const node = { name: 'a', isLost: false }

describe('the fragment of a replica', () => {
  for (const [property, facts, expected, isLost = false] of [
    ['is none while it waits', { status: {} }, undefined],
    ['is reserved where room is being made', { status: { nominatedNodeId: 'node-a' } }, 'RESERVED'],
    [
      'is none when it is to stop before it had a place',
      { status: { nominatedNodeId: 'node-a' }, stopping: true },
      undefined,
    ],
    [
      'is reserved before its agent has it',
      { status: { ...here, state: ReplicaState.SCHEDULED } },
      'RESERVED',
    ],
    [
      'is reserved while it starts',
      { status: { ...here, state: ReplicaState.STARTING } },
      'RESERVED',
    ],
    [
      'is allocated while it runs',
      { status: { ...here, state: ReplicaState.RUNNING } },
      'ALLOCATED',
    ],
    [
      'is releasing when it is to stop, whatever it does yet',
      { status: { ...here, state: ReplicaState.RUNNING }, stopping: true },
      'RELEASING',
    ],
    [
      'is releasing while it stops',
      { status: { ...here, state: ReplicaState.STOPPING } },
      'RELEASING',
    ],
    [
      'is releasing when it is lost',
      { status: { ...here, state: ReplicaState.LOST } },
      'RELEASING',
    ],
    [
      'is releasing on a node that is lost',
      { status: { ...here, state: ReplicaState.RUNNING } },
      'RELEASING',
      true,
    ],
    [
      'stays reserved when it has ended',
      { status: { ...here, state: ReplicaState.FAILED } },
      'RESERVED',
    ],
  ] as [string, ReplicaFacts, string?, boolean?][]) {
    it(property, () => {
      const fragment = fragmentOf(replicaRecord('web-1', facts), { ...node, isLost })
      assert.equal(fragment && enumName(FragmentStatus, fragment.status), expected)
    })
  }

  it('says whose it is, where and since when', () => {
    const facts = { status: { scheduledAtMs: 5n, resources: { cpuMillicores: 100 } } }
    const fragment = fragmentOf(readyReplica('web-1', 'node-a', facts), node)!
    const { id, nodeId, nodeName, workloadName, namespace, createdAtMs, resources } = fragment
    assert.deepEqual(
      [id, nodeId, nodeName, workloadName, namespace, createdAtMs, resources?.cpuMillicores],
      ['frag-web-1', 'node-a', 'a', 'web', 'default', 5n, 100],
    )
  })
})

test('room that was promised elsewhere is given back when another node is found', async (t) => {
  const { state, put } = await openCluster(t)
  const released = new ReleasedFragments({ state, clock: new FakeClock() })
  await put('replica', { 'web-1': replicaRecord('web-1', { status: { nominatedNodeId: 'a' } }) })
  await put('replica', { 'web-1': readyReplica('web-1', 'b') })
  assert.deepEqual(
    released.all().map(({ nodeId }) => nodeId),
    ['a'],
  )
  released.close()
})

test('the newest fragments that were given back are remembered', async (t) => {
  const { state, put } = await openCluster(t)
  const clock = new FakeClock(1_000)
  const released = new ReleasedFragments({ state, clock })
  const ids = Array.from({ length: 300 }, (_, n) => `web-${n}`)
  await put('replica', Object.fromEntries(ids.map((id) => [id, readyReplica(id, 'node-a')])))
  await put('replica', { waiting: replicaRecord('waiting') })
  await put('replica', { 'web-0': readyReplica('web-0', 'node-a', { stopping: true }) })
  assert.equal(released.all().length, 0, 'what changes and stays gives nothing back')
  for (let n = 0; n < ids.length; n += 100) {
    const writes = ids.slice(n, n + 100).map((id) => deleteRecord('replica', id))
    await state.write({ writes })
  }
  await state.write({ writes: [deleteRecord('replica', 'waiting')] })
  const kept = released.all()
  assert.deepEqual([kept.length, kept.at(-1)!.replicaId], [256, 'web-299'])
  assert.ok(
    kept.every(
      ({ status, releasedAtMs }) => status === FragmentStatus.RELEASED && releasedAtMs === 1_000n,
    ),
  )
  released.close()
})
