import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { CoordinatorRecordSchema, RecoverCoordinatorRequestSchema } from '@cloudless/api'
import type { MemberStatus } from '@cloudless/metadata'
import type { ClusterState } from '../state/cluster-state.ts'
import { createRecovery, type RecoveryDeps } from './recovery.ts'

const right = { coordinatorId: 'c1', clusterId: 'cluster-a' }

function world(status: Partial<MemberStatus> | undefined, hasMember = true) {
  const done: string[] = []
  const member: RecoveryDeps['member'] = {
    look: async () => {
      if (status === undefined) throw new Error('it does not answer')
      return status as MemberStatus
    },
    recover: async () => void done.push('recovered'),
  }
  const records = ['c1', 'c2', 'c3'].map((id) => ({
    id,
    record: create(CoordinatorRecordSchema, { id }),
  }))
  const recover = createRecovery({
    member: hasMember ? member : undefined,
    ...right,
    state: { all: () => records } as unknown as Pick<ClusterState, 'all'>,
    store: {
      transact: async ({ writes }) => {
        for (const write of writes) done.push(`${write.kind} ${'key' in write ? write.key : ''}`)
        return { kind: 'committed', revision: 1 }
      },
    },
    onRecovered: (removed) => void done.push(`without ${removed.join(' ')}`),
  })
  return {
    done,
    ask: (request: object) => recover(create(RecoverCoordinatorRequestSchema, request)),
  }
}

const recovered = ['recovered', 'delete coordinators/c2', 'delete coordinators/c3', 'without c2 c3']

for (const [property, status, request, outcome] of [
  ['does it where no leader is known', {}, right, undefined],
  ['does it where its etcd does not answer', undefined, right, undefined],
  ['refuses where a majority lives', { leaderId: 'x' }, right, /has a leader/],
  ['does it all the same when forced', { leaderId: 'x' }, { ...right, force: true }, undefined],
  ['refuses what had not caught up', { isLearner: true }, right, /had not caught up/],
  [
    'refuses for another coordinator',
    {},
    { ...right, coordinatorId: 'c2' },
    /this is coordinator "c1"/,
  ],
  ['refuses for another cluster', {}, { ...right, clusterId: '' }, /no cluster/],
] as const) {
  test(`recovery ${property}`, async () => {
    const { done, ask } = world(status, true)
    if (outcome === undefined) {
      assert.deepEqual((await ask(request)).removed, ['c2', 'c3'])
      assert.deepEqual(done, recovered)
    } else {
      await assert.rejects(ask(request), { code: 'failed_precondition', message: outcome })
      assert.deepEqual(done, [])
    }
  })
}

test('recovery is refused where there is no RAFT group, and while another goes on', async () => {
  await assert.rejects(world({}, false).ask(right), /the only one/)
  const { done, ask } = world({})
  const both = await Promise.allSettled([ask(right), ask(right)])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  assert.deepEqual(done, recovered)
})
