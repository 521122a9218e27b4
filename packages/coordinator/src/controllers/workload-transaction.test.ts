import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { RolloutStrategyKind, type ReplicaRecord } from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { createdRecord, restartedRecord } from '../api/workload-changes.ts'
import { putRecord } from '../state/cluster-state.ts'
import { openCluster, recordingReporter } from '../testing/cluster.ts'
import { readyReplica, workloadRecord, type WorkloadFacts } from '../testing/records.ts'
import { planWorkload } from './plan-workload.ts'
import { stopping } from './replica-records.ts'
import { rolloutFacts } from './rollout-facts.ts'
import { stepRollout } from './step-rollout.ts'
import { workloadTransaction } from './workload-transaction.ts'

const fresh = { status: { revision: 2n } }
const nowMs = 5_000

/** A service of three that is being updated, as the controller sees it now, and what it would commit. */
async function updating(
  t: TestContext,
  replicas: readonly ReplicaRecord[],
  rollout: NonNullable<WorkloadFacts['spec']>['rollout'] = {},
) {
  const { state, put } = await openCluster(t)
  const { workload } = workloadRecord({ spec: { replicas: 3, rollout } })
  const record = restartedRecord(createdRecord(workload!, 1), 2)
  await put('workload', { 'default-web': record })
  await put('replica', Object.fromEntries(replicas.map((one) => [one.status!.id, one])))
  const step = stepRollout(record, {
    facts: rolloutFacts(record, replicas, nowMs),
    nowMs,
    quietMs: 0,
    replicas: () => replicas,
    revisionOf: () => undefined,
  })
  const plan = planWorkload(step.record, replicas, nowMs)
  const { report } = recordingReporter()
  const deps = { state, random: seededRandom(1), report, nowMs }
  const decision = workloadTransaction(deps, state.held('workload', 'default-web')!, step, plan)
  return {
    decision,
    commit: () => state.write(decision),
    /** Somebody else stops it first. */
    preempt: (id: string) => {
      const after = stopping(state.get('replica', id)!, 'preempted', undefined)
      return state.write({ writes: [putRecord('replica', id, after)] })
    },
  }
}

const ready = (id: string, facts = {}) => readyReplica(id, 'node-a', facts)
const rolling = [ready('a'), ready('b'), ready('c'), ready('d', fresh)]

test('a step of a rollout is committed when what must be left is as it was seen', async (t) => {
  const { commit, decision } = await updating(t, rolling)
  assert.deepEqual(
    decision.preconditions.map(({ key }) => key),
    ['workloads/default-web', 'replicas/a', 'replicas/b', 'replicas/c'],
  )
  assert.equal((await commit()).kind, 'committed')
})

test('a step of a rollout is refused when another has stopped one that must be left', async (t) => {
  const { commit, preempt } = await updating(t, rolling)
  await preempt('a')
  assert.notEqual((await commit()).kind, 'committed')
})

test('a switch of clients is refused when one of the new replicas has gone meanwhile', async (t) => {
  const { BLUE_GREEN } = RolloutStrategyKind
  const all = ['a', 'b', 'c'].map((id) => ready(id))
  const next = ['d', 'e', 'f'].map((id) => ready(id, fresh))
  const { commit, preempt, decision } = await updating(t, [...all, ...next], {
    strategy: BLUE_GREEN,
    minAvailable: 3,
  })
  assert.equal(decision.writes.length, 4, 'the switch, and the old ones')
  await preempt('e')
  assert.notEqual((await commit()).kind, 'committed')
})

test('no condition is made of a workload whose replicas need not serve', async (t) => {
  const { decision } = await updating(t, rolling, { minAvailable: 0 })
  const witnessed = decision.preconditions.filter(({ key }) => key.startsWith('replicas/'))
  assert.equal(witnessed.length, 1, 'only what it stops')
})
