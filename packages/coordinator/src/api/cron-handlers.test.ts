/** Workloads of all kinds, as the API sees them: what may be done to which. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  CreateWorkloadRequestSchema,
  CronStatusSchema,
  JobStatusSchema,
  RestartWorkloadRequestSchema,
  RunWorkloadRequestSchema,
  ScaleWorkloadRequestSchema,
  SuspendWorkloadRequestSchema,
  UpdateWorkloadRequestSchema,
  WorkloadPhase,
  WorkloadSchema,
  WorkloadSpecSchema,
  WorkloadType,
  type Workload,
} from '@cloudless/api'
import { seededRandom, systemClock } from '@cloudless/base'
import { openCluster } from '../testing/cluster.ts'
import { cronHandlers } from './cron-handlers.ts'
import { workloadHandlers } from './workload-handlers.ts'

const { SERVICE, DAEMON, JOB, CRON } = WorkloadType
type Spec = Omit<MessageInitShape<typeof WorkloadSpecSchema>, '$typeName' | '$unknown'>

async function openHandlers(t: TestContext) {
  const cluster = await openCluster(t)
  const changed: string[] = []
  const deps = {
    state: cluster.state,
    clock: systemClock,
    admit: () => undefined,
    autoscalingOf: () => undefined,
    onChanged: (_: unknown, action: string) => changed.push(action),
  }
  const handlers = {
    ...workloadHandlers(deps),
    ...cronHandlers({ ...deps, random: seededRandom(1), onRun: () => changed.push('run') }),
  }
  const web = (spec: Spec): Workload =>
    create(WorkloadSchema, {
      name: 'web',
      ownerId: 'somebody-else',
      spec: create(WorkloadSpecSchema, {
        image: 'nginx:1',
        ...(spec.type === CRON ? { cron: { schedule: '@daily' } } : {}),
        ...spec,
      }),
    })
  return {
    ...cluster,
    changed,
    make: (spec: Spec) =>
      handlers.createWorkload(create(CreateWorkloadRequestSchema, { workload: web(spec) })),
    update: (spec: Spec) =>
      handlers.updateWorkload(create(UpdateWorkloadRequestSchema, { workload: web(spec) })),
    scale: () =>
      handlers.scaleWorkload(
        create(ScaleWorkloadRequestSchema, { workloadId: 'web', replicas: 2 }),
      ),
    restart: () =>
      handlers.restartWorkload(create(RestartWorkloadRequestSchema, { workloadId: 'web' })),
    suspend: (suspend: boolean) =>
      handlers.suspendWorkload(
        create(SuspendWorkloadRequestSchema, { workloadId: 'web', suspend }),
      ),
    run: () => handlers.runWorkload(create(RunWorkloadRequestSchema, { workloadId: 'web' })),
  }
}

test('the type of a workload cannot be changed', async (t) => {
  const { make, update } = await openHandlers(t)
  await make({ type: DAEMON })
  await assert.rejects(
    update({ type: SERVICE, replicas: 1 }),
    /type DAEMON.*changed to SERVICE.*delete/,
  )
})

test('a job is changed only in what does not touch its attempts', async (t) => {
  const { make, update } = await openHandlers(t)
  await make({ type: JOB })
  const job = { parallelism: 3, deadlineMs: 60_000n, ttlAfterFinishedMs: 5n }
  const changed = await update({ type: JOB, job })
  assert.equal(changed.spec!.job!.parallelism, 3)
  assert.equal(changed.revision, 1n)
  await assert.rejects(update({ type: JOB, image: 'nginx:2' }), /only its parallelism, deadline/)
  await assert.rejects(update({ type: JOB, job: { completions: 9 } }), /only its parallelism/)
})

test('only services are scaled, and only what is kept running is restarted', async (t) => {
  for (const [type, scaling, restarting] of [
    [DAEMON, /on every node that its placement allows/, undefined],
    [JOB, /job.parallelism/, /delete it and apply it again/],
    [CRON, /job.parallelism/, /workload run web/],
  ] as const) {
    const { make, scale, restart } = await openHandlers(t)
    await make({ type })
    await assert.rejects(scale(), scaling)
    if (restarting === undefined) assert.equal((await restart()).revision, 2n)
    else await assert.rejects(restart(), restarting)
  }
})

test('a cron is suspended and resumed, each said once', async (t) => {
  const { make, suspend, changed } = await openHandlers(t)
  await make({ type: CRON })
  assert.equal((await suspend(true)).status!.message, 'suspended')
  await suspend(true)
  assert.equal((await suspend(false)).spec!.cron!.suspend, false)
  assert.deepEqual(changed, ['create', 'suspend', 'unsuspend'])
})

test('a cron is run by hand, each time as a job of its own', async (t) => {
  const { make, run, state } = await openHandlers(t)
  await make({ type: CRON, job: { completions: 4 } })
  const jobs = [await run(), await run()]
  for (const job of jobs) {
    assert.match(job.name, /^web-manual-\w{6}$/)
    assert.equal(job.ownerId, 'default-web')
    assert.equal(job.spec!.type, JOB)
    assert.equal(job.spec!.job!.completions, 4)
    assert.equal(job.status!.phase, WorkloadPhase.PENDING)
  }
  assert.equal(state.workloadsOwnedBy('default-web').length, 2)
})

test('what is no cron is neither suspended nor run', async (t) => {
  const { make, suspend, run } = await openHandlers(t)
  await make({ type: JOB })
  await assert.rejects(suspend(true), /is of type JOB: only a CRON can be suspended/)
  await assert.rejects(suspend(false), /only a CRON can be resumed/)
  await assert.rejects(run(), /only a CRON can be run/)
})

test('who owns a workload is not for the one who sends it to say', async (t) => {
  const { make, update } = await openHandlers(t)
  assert.equal((await make({ type: SERVICE, replicas: 1 })).ownerId, '')
  assert.equal((await update({ type: SERVICE, replicas: 2 })).ownerId, '')
})

test('another schedule is decided anew, another image is not', async (t) => {
  const { make, update, state, put } = await openHandlers(t)
  await make({ type: CRON })
  const held = state.get('workload', 'default-web')!
  const cron = create(CronStatusSchema, { lastRunAtMs: 5n, nextRunAtMs: 9n })
  await put('workload', { 'default-web': { ...held, cron } })
  await update({ type: CRON, image: 'nginx:2' })
  assert.equal(state.get('workload', 'default-web')!.cron!.nextRunAtMs, 9n)
  await update({ type: CRON, image: 'nginx:2', cron: { schedule: '@hourly' } })
  assert.equal(state.get('workload', 'default-web')!.cron!.nextRunAtMs, 0n)
  assert.equal(state.get('workload', 'default-web')!.cron!.lastRunAtMs, 5n)
})

test("a job's status tells how far it is", async (t) => {
  const { make, update, state, put } = await openHandlers(t)
  await make({ type: JOB, job: { completions: 3, parallelism: 2 } })
  const held = state.get('workload', 'default-web')!
  const job = create(JobStatusSchema, { succeeded: 2, failed: 1, startedAtMs: 1n })
  await put('workload', { 'default-web': { ...held, job } })
  const { status } = await update({ type: JOB, job: { completions: 3, parallelism: 2 } })
  assert.equal(status!.phase, WorkloadPhase.RUNNING)
  assert.equal(status!.message, '2 of 3 completions, 1 failed')
  assert.equal(status!.desiredReplicas, 1)
  assert.equal(status!.job?.succeeded, 2)
})
