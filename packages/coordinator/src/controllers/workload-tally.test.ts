import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import { replicaRecord } from '../testing/records.ts'
import { tallyOf, WorkloadTallies } from './workload-tally.ts'

const replicas = fc
  .record({
    workloadId: fc.constantFrom('default-a', 'default-b'),
    state: fc.constantFrom(
      ReplicaState.PENDING,
      ReplicaState.RUNNING,
      ReplicaState.LOST,
      ReplicaState.FAILED,
    ),
    revision: fc.constantFrom(1n, 2n),
    nodeId: fc.constantFrom('', 'node-a'),
    ready: fc.boolean(),
    stopping: fc.boolean(),
    replaceWanted: fc.boolean(),
  })
  .map(({ stopping, replaceWanted, ...status }) =>
    replicaRecord('any', { status, stopping, replaceWanted }),
  )
/** Which replica changes, and what it becomes; undefined: it goes. */
const history = fc.array(fc.tuple(fc.nat(5), fc.option(replicas, { nil: undefined })), {
  maxLength: 60,
})

test('after any changes, the tallies are those of the replicas that are there', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const tallies = new WorkloadTallies()
      const there = new Map<number, ReplicaRecord>()
      for (const [id, next] of steps) {
        const before = there.get(id)
        // A replica stays with its workload.
        const after =
          before && next
            ? { ...next, status: { ...next.status!, workloadId: before.status!.workloadId } }
            : next
        if (!before && !after) continue
        tallies.apply({ ...(before && { before }), ...(after && { after }) })
        if (after) there.set(id, after)
        else there.delete(id)
      }
      for (const workloadId of ['default-a', 'default-b']) {
        const own = [...there.values()].filter((r) => r.status!.workloadId === workloadId)
        assert.deepEqual(tallies.of(workloadId), tallyOf(own))
        for (const revision of [1n, 2n]) {
          assert.deepEqual(tallies.of(workloadId).of(revision), tallyOf(own).of(revision))
        }
        const live = own.filter((r) => !r.stopping && r.status!.state !== ReplicaState.LOST)
        assert.equal(tallies.of(workloadId).live, live.length)
        assert.equal(tallies.of(workloadId).total, own.length)
      }
    }),
  )
})
