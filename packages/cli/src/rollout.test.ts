import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  RolloutPhase,
  RolloutStatusSchema,
  WorkloadPhase,
  WorkloadRevisionSchema,
  type Workload,
} from '@cloudless/api'
import { aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness } from './testing/harness.ts'
import { rolloutVerdict } from './wait/wait-until-rolled-out.ts'

type Rollout = MessageInitShape<typeof RolloutStatusSchema>

/** Of revision 2 unless said. */
function rollingOut(rollout: Rollout | undefined, revision = 2n): Workload {
  const status = { phase: WorkloadPhase.UPDATING, readyReplicas: 2, desiredReplicas: 2 }
  return aWorkload({
    name: 'web',
    revision,
    status: rollout ? { ...status, rollout: { revision, fromRevision: 1n, ...rollout } } : status,
  })
}

const { PROGRESSING, PAUSED, BAKING, COMPLETED, FAILED, ROLLING_BACK } = RolloutPhase
const failed = { failedRevision: 2n, message: 'revision 2 failed: web-1 is not ready' }

for (const [property, workload, kind, summary] of [
  ['one that goes on is waited for', rollingOut({ phase: PROGRESSING }), 'waiting', /PROGRESSING/],
  [
    'one that is paused says what to do',
    rollingOut({ phase: PAUSED, message: 'resume it to go on' }),
    'waiting',
    /PAUSED: resume it/,
  ],
  [
    'canaries are waited for',
    rollingOut({ phase: BAKING, message: 'promote it to go on' }),
    'waiting',
    /BAKING: promote it/,
  ],
  [
    'one that is complete is done',
    rollingOut({ phase: COMPLETED }),
    'done',
    /revision 2 is rolled/,
  ],
  [
    'one that failed says why',
    rollingOut({ phase: FAILED, message: 'web-1 is not ready' }),
    'failed',
    /to revision 2 failed: web-1 is not ready/,
  ],
  [
    'one that is being rolled back has failed',
    rollingOut({ phase: ROLLING_BACK, ...failed }, 1n),
    'failed',
    /goes back to revision 1: revision 2 failed/,
  ],
  [
    'one that was rolled back has failed, whatever runs',
    rollingOut({ phase: COMPLETED, ...failed }, 1n),
    'failed',
    /went back to revision 1/,
  ],
  ['a workload without rollouts is done', rollingOut(undefined), 'done', /./],
] as const) {
  test(`rollout status: ${property}`, () => {
    const verdict = rolloutVerdict(workload, 2n)
    assert.equal(verdict.kind, kind)
    assert.match(verdict.summary, summary)
  })
}

async function cluster(t: TestContext, workload: Workload) {
  const harness = await startHarness(t)
  harness.state.workloads.push(workload)
  for (const suffix of ['1', '2']) harness.state.replicas.push(aReplica(workload, suffix))
  return harness
}

test('rollout status waits for the end and says how it was', async (t) => {
  const { state, start } = await cluster(t, rollingOut({ phase: PROGRESSING, message: '1 of 2' }))
  const { done, io } = start('rollout status web')
  await io.until(() => /PROGRESSING: 1 of 2/.test(io.errText))
  state.workloads[0]!.status!.rollout!.phase = COMPLETED
  state.changes.emit('change')
  assert.equal(await done, 0)
  assert.match(io.outText, /workload web: revision 2 is rolled out/)
})

test('rollout status ends with 1 when it is rolled back meanwhile', async (t) => {
  const { state, start } = await cluster(t, rollingOut({ phase: PROGRESSING }))
  const { done, io } = start('workload rollout status web')
  await io.until(() => /PROGRESSING/.test(io.errText))
  const rollout = { phase: ROLLING_BACK, revision: 1n, fromRevision: 2n, ...failed }
  state.workloads[0]!.revision = 1n
  state.workloads[0]!.status!.rollout = create(RolloutStatusSchema, rollout)
  state.changes.emit('change')
  assert.equal(await done, 1)
  assert.match(io.outText, /goes back to revision 1: revision 2 failed: web-1 is not ready/)
})

test('an update that is rolled back ends --wait with 1 although everything is ready', async (t) => {
  const { state, start } = await cluster(t, rollingOut({ phase: PROGRESSING }))
  const { done, io } = start('workload restart web --wait')
  await io.until(() => /2 of 2 replicas ready/.test(io.errText))
  const rollout = { phase: COMPLETED, revision: 1n, fromRevision: 2n, ...failed }
  state.workloads[0]!.revision = 1n
  state.workloads[0]!.status!.rollout = create(RolloutStatusSchema, rollout)
  for (const replica of state.replicas) replica.revision = 1n
  state.changes.emit('change')
  assert.equal(await done, 1)
  assert.match(io.errText, /Failed: workload web went back to revision 1/)
})

test('rollout history lists the revisions, and shows one', async (t) => {
  const { state, cli } = await cluster(t, rollingOut({ phase: COMPLETED }))
  for (const revision of [2n, 1n]) {
    state.revisions.push(
      create(WorkloadRevisionSchema, {
        revision,
        cause: revision === 1n ? 'created' : 'updated',
        outcome: 'completed',
        spec: { image: `nginx:1.${revision}` },
        current: revision === 2n,
      }),
    )
  }
  const { out } = await cli('rollout history web')
  assert.match(out, /REVISION .*AGE .*CAUSE .*OUTCOME .*IMAGE .*CURRENT/)
  assert.match(out, /2 .*updated .*completed .*nginx:1.2 .*yes/)
  const one = await cli('rollout history web --revision 1 -o json')
  assert.equal(JSON.parse(one.out).spec.image, 'nginx:1.1')
  assert.equal((await cli('rollout history web --revision 7')).code, 2)
})

test('rollouts are paused, resumed, promoted and undone', async (t) => {
  const { state, cli } = await cluster(t, rollingOut({ phase: PROGRESSING }))
  for (const verb of ['pause', 'resume', 'promote']) {
    const { out, code } = await cli(`rollout ${verb} web`)
    assert.equal(code, 0)
    assert.match(out, new RegExp(`rollout of workload web ${verb}d`))
  }
  const { out } = await cli('rollout undo web --to-revision 1')
  assert.equal(out, 'workload web goes back to revision 1\n')
  assert.equal(state.workloads[0]!.revision, 1n)
  assert.equal((await cli('rollout undo web --to-revision -1')).code, 2)
})

test('a replica that is ready and takes no clients says so', async (t) => {
  const { state, cli } = await cluster(t, rollingOut({ phase: PROGRESSING }))
  state.replicas[1]!.serving = false
  assert.match((await cli('workload replicas web')).out, /web-2 .*yes, no clients/)
  assert.match((await cli('workload describe web')).out, /Progress: +PROGRESSING/)
})
