import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import { readyReplica, workloadRecord } from '../testing/records.ts'
import { ReturningWorkloads } from './returning-workloads.ts'

const ids = ['web-1', 'web-2', 'web-3']
const replica = fc
  .record({
    id: fc.constantFrom(...ids),
    isLost: fc.boolean(),
    isStopping: fc.boolean(),
    isMarked: fc.boolean(),
    revision: fc.constantFrom(1n, 2n),
  })
  .map(({ id, isLost, isStopping, isMarked, revision }) =>
    readyReplica(id, 'a', {
      stopping: isStopping,
      replaceWanted: isMarked,
      status: { revision, ...(isLost && { state: ReplicaState.LOST }) },
    }),
  )
const change = fc.record({ replica, isRemoved: fc.boolean() })

test('whatever is settled, a workload is seen as it then is', () => {
  const held = { id: 'default-web', record: workloadRecord({ revision: 2n }) }
  fc.assert(
    fc.property(replica, fc.array(change, { maxLength: 8 }), (first, changes) => {
      const truth = new Map<string, ReplicaRecord>([[first.status!.id, first]])
      const workloads = new ReturningWorkloads({
        held: (kind: string) => (kind === 'workload' ? held : undefined),
        replicasOfWorkload: () => [{ id: first.status!.id, record: first }],
      } as never)
      const { live, peers } = workloads.of('default-web')
      for (const { replica: one, isRemoved } of changes) {
        if (isRemoved) truth.delete(one.status!.id)
        else truth.set(one.status!.id, one)
        if (isRemoved) workloads.remove(one)
        else workloads.put(one)
      }
      const isLive = (r: ReplicaRecord): boolean =>
        !r.stopping && r.status!.state !== ReplicaState.LOST
      const lives = [...truth.values()].filter(isLive)
      const wanted = lives.filter((r) => !r.replaceWanted && r.status!.revision === 2n)
      const sorted = (some: Iterable<ReplicaRecord>) => [...some].map((r) => r.status!.id).sort()
      assert.deepEqual(sorted(live.values()), sorted(lives))
      assert.deepEqual(sorted(peers.values()), sorted(wanted))
    }),
  )
})
