/** Daemons, jobs and crons at the command line. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  ReplicaState,
  WorkloadPhase,
  WorkloadSpecSchema,
  WorkloadStatusSchema,
  WorkloadType,
  type Workload,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness } from './testing/harness.ts'
import { readinessOf } from './wait/readiness.ts'

type Spec = Omit<MessageInitShape<typeof WorkloadSpecSchema>, '$typeName' | '$unknown'>
type Status = MessageInitShape<typeof WorkloadStatusSchema>

function aKind(name: string, type: WorkloadType, spec: Spec, status: Status): Workload {
  return aWorkload({
    name,
    spec: create(WorkloadSpecSchema, { image: 'nginx', ...spec, type }),
    status: create(WorkloadStatusSchema, { phase: WorkloadPhase.RUNNING, ...status }),
  })
}

const daemon = (status: Status = {}): Workload =>
  aKind('agent', WorkloadType.DAEMON, {}, { readyReplicas: 2, desiredReplicas: 5, ...status })
const job = (status: NonNullable<Status['job']>): Workload =>
  aKind('crunch', WorkloadType.JOB, { job: { completions: 3, retries: 2 } }, { job: status })
const cron = (suspend = false): Workload =>
  aKind(
    'backup',
    WorkloadType.CRON,
    { cron: { schedule: '@daily', suspend, startingDeadlineMs: 300_000n } },
    { cron: { nextRunAtMs: suspend ? 0n : BigInt(systemClock.wallMs() + 7_200_500) } },
  )

async function openCluster(t: TestContext) {
  const harness = await startHarness(t)
  harness.state.workloads.push(daemon(), job({ succeeded: 1, active: 1 }), cron())
  return harness
}

test('a list tells the kinds apart, and how far each is', async (t) => {
  const { cli } = await openCluster(t)
  const { out } = await cli('workload list')
  assert.match(out, /│ TYPE .*│ REPLICAS .*│ READY/)
  assert.match(out, /│ agent .*│ DAEMON .*│ - .*│ 2\/5/)
  assert.match(out, /│ crunch .*│ JOB .*│ 1\/3/)
  assert.match(out, /│ backup .*│ CRON .*│ in 2h/)
})

test('a description says what a job and a cron are about', async (t) => {
  const { cli } = await openCluster(t)
  const job = (await cli('describe workload crunch')).out
  assert.match(job, /Type: +JOB/)
  assert.match(job, /Completions: +3, 1 at a time/)
  assert.match(job, /Progress: +1 active, 1 ended well, 0 failed/)
  const cron = (await cli('describe workload backup')).out
  assert.match(cron, /Schedule: +@daily \(UTC\)/)
  assert.match(cron, /Next run: +in 2h/)
})

test('crons are suspended, resumed and run', async (t) => {
  const { cli, state } = await openCluster(t)
  assert.equal((await cli('workload suspend backup')).out, 'workload backup suspended\n')
  assert.match((await cli('workload list')).out, /│ backup .*│ suspended/)
  assert.equal((await cli('workload unsuspend backup')).out, 'workload backup resumed\n')
  assert.equal((await cli('workload run backup')).out, 'workload backup-manual-x created\n')
  const run = state.calls.find(({ method }) => method === 'RunWorkload')!
  assert.match((run.request as { idempotencyKey: string }).idempotencyKey, /^\w{24}$/)
})

test('workloads of every kind are created from flags', async (t) => {
  const { cli, state } = await openCluster(t)
  const stored = (): Spec => state.workloads.at(-1)!.spec!
  await cli('workload create d --type daemon --image x')
  assert.equal(stored().type, WorkloadType.DAEMON)
  assert.equal(stored().replicas, 0)
  await cli('workload create j --type JOB --image x --completions 3 --retries 0')
  assert.equal(stored().job?.completions, 3)
  assert.equal(stored().job?.retries, 0)
  const zone = '--schedule @daily --time-zone Europe/Berlin'
  await cli(`workload create c --type cron --image x ${zone}`)
  assert.equal(stored().cron?.timeZone, 'Europe/Berlin')
  const refused = await cli('workload create e --type daemon --image x --replicas 3')
  assert.equal(refused.code, 2)
  assert.match(refused.err, /--replicas is for services/)
  assert.equal((await cli('workload create f --type pod --image x')).code, 2)
})

test('a job is waited for until it is complete or has failed', () => {
  const rows = [
    [{}, 'waiting', 'workload crunch: 0 of 3 completions'],
    [
      { succeeded: 1, active: 2, failed: 1 },
      'waiting',
      'workload crunch: 1 of 3 completions, 2 active, 1 failed',
    ],
    [{ succeeded: 3, outcome: 'complete' }, 'ready', 'workload crunch: 3 of 3 completions'],
    [
      { failed: 3, outcome: 'failed' },
      'failed',
      'workload crunch: 0 of 3 completions, 3 failed; its retries are used up',
    ],
    [
      { outcome: 'deadline_exceeded' },
      'failed',
      'workload crunch: 0 of 3 completions; its time is up',
    ],
  ] as const
  for (const [status, kind, summary] of rows) {
    const readiness = readinessOf(job(status))
    assert.deepEqual([readiness.kind, readiness.summary], [kind, summary])
  }
})

test('an attempt that failed does not fail the job', () => {
  const workload = job({ failed: 1, active: 1 })
  workload.status!.replicas = [
    aReplica(workload, 'one', { state: ReplicaState.FAILED, ready: false }),
  ]
  assert.equal(readinessOf(workload).kind, 'waiting')
})

test('a cron is ready at once, a daemon on every node that is to have one', () => {
  assert.equal(readinessOf(cron()).kind, 'ready')
  const one = daemon({ desiredReplicas: 1 })
  one.status!.replicas = [aReplica(one, 'one')]
  assert.equal(readinessOf(one).kind, 'ready')
  one.status!.desiredReplicas = 2
  assert.equal(readinessOf(one).kind, 'waiting')
  assert.equal(
    readinessOf(daemon({ phase: WorkloadPhase.PENDING, desiredReplicas: 0 })).kind,
    'waiting',
  )
})
