import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import {
  JobPolicySchema,
  JobStatusSchema,
  ReplicaState,
  WorkloadType,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { replicaRecord, workloadRecord } from '../testing/records.ts'
import { countAttempt, isOver } from './job-attempts.ts'
import { attemptsKeptMax, planJob, type JobPlan } from './plan-job.ts'

const nowMs = 1_000_000

interface JobFacts {
  readonly policy?: MessageInitShape<typeof JobPolicySchema>
  readonly job?: MessageInitShape<typeof JobStatusSchema>
  readonly deleted?: boolean
}

function jobRecord({ policy, job, deleted }: JobFacts = {}): WorkloadRecord {
  const record = workloadRecord({
    deletedAtMs: deleted ? 5n : 0n,
    spec: {
      type: WorkloadType.JOB,
      job: create(JobPolicySchema, { parallelism: 2, completions: 3, retries: 2, ...policy }),
    },
  })
  const status = create(JobStatusSchema, { startedAtMs: BigInt(nowMs - 60_000), ...job })
  return { ...record, job: status }
}

const shapes: Readonly<Record<string, (id: string) => Parameters<typeof replicaRecord>[1]>> = {
  waiting: () => ({}),
  running: () => ({ status: { state: ReplicaState.RUNNING, nodeId: 'node-a' } }),
  stopping: () => ({ stopping: true, status: { state: ReplicaState.STOPPING, nodeId: 'node-a' } }),
  marked: () => ({
    replaceWanted: true,
    status: { state: ReplicaState.RUNNING, nodeId: 'node-a' },
  }),
  lost: () => ({ status: { state: ReplicaState.LOST, nodeId: 'node-a' } }),
  awaited: () => ({
    replaceAtMs: BigInt(nowMs + 5_000),
    status: { state: ReplicaState.LOST, nodeId: 'node-a' },
  }),
  kept: () => ({ replaceAtMs: -1n, status: { state: ReplicaState.LOST, nodeId: 'node-a' } }),
  done: () => ended(ReplicaState.STOPPED, nowMs - 30_000),
  failed: () => ended(ReplicaState.FAILED, nowMs - 30_000),
  failing: () => ended(ReplicaState.FAILED, nowMs - 100),
}

function ended(state: ReplicaState, atMs: number): Parameters<typeof replicaRecord>[1] {
  return { status: { state, nodeId: 'node-a', finishedAtMs: BigInt(atMs) } }
}

/** "a running, b failed, c waiting for b": each attempt with its state, and what it stands in for. */
function attempts(text: string): ReplicaRecord[] {
  return [...text.matchAll(/(\w+) (\w+)(?: for (\w+))?/g)].map(([, id, shape, replaces], n) => {
    const facts = shapes[shape!]!(id!)!
    const status = { createdAtMs: BigInt(n + 1), replaces: replaces ?? '', ...facts.status }
    return replicaRecord(id!, {
      ...facts,
      spec: { type: WorkloadType.JOB } as never,
      status,
    })
  })
}

/** With clocks that agree. */
function planAt(record: WorkloadRecord, replicas: readonly ReplicaRecord[], atMs = nowMs): JobPlan {
  const deadlineMs = Number(record.workload!.spec!.job!.deadlineMs)
  const startedAtMs = Number(record.job?.startedAtMs ?? 0n) || atMs
  const leftMs = deadlineMs === 0 ? Infinity : startedAtMs + deadlineMs - atMs
  return planJob(record, replicas, { nowMs: atMs, leftMs })
}

function said(plan: JobPlan): string {
  const { create, stop, forget, after, wakeAtMs, finished } = plan
  return [
    ...create.map(({ replaces }) => (replaces === '' ? 'make' : `make for ${replaces}`)),
    ...stop.map(({ replica, reason }) => `stop ${replica.status!.id} ${reason}`),
    ...forget.map((replica) => `forget ${replica.status!.id}`),
    ...(plan.hasEnded ? [after!.job!.outcome] : []),
    ...(after && after.deletedAtMs > 0n ? ['expire'] : []),
    ...(finished ? ['finish'] : []),
    ...(wakeAtMs > 0 ? [`wake in ${wakeAtMs - nowMs}`] : []),
  ].join(', ')
}

describe('a job', () => {
  // Two at a time, three are to end well, two may fail; it began a minute ago.
  const rows: readonly [property: string, facts: JobFacts, attempts: string, plan: string][] = [
    ['begins with as many attempts as may run at a time', {}, '', 'make, make'],
    ['has no more than that', {}, 'a running, b running', ''],
    ['goes on as attempts end', { job: { succeeded: 1 } }, 'a done, b running', 'make'],
    ['makes no more than are missing', { job: { succeeded: 2 } }, 'a done, b done, c running', ''],
    ['is complete when enough ended well', { job: { succeeded: 3 } }, 'a done', 'complete'],
    [
      'ends what still runs once it is complete',
      { job: { succeeded: 3 } },
      'a running, b waiting',
      'stop a finished, forget b, complete',
    ],
    [
      'tries what failed again, apart from where that was',
      { job: { failed: 1 } },
      'a failed, b running',
      'make for a',
    ],
    ['waits before it does', { job: { failed: 1 } }, 'a failing, b running', 'wake in 900'],
    [
      'waits longer each time',
      { job: { failed: 2 } },
      'a failed, b failing, c running',
      'wake in 1900',
    ],
    [
      'does not wait to make up for what was lost meanwhile',
      { job: { failed: 1 } },
      'a failing, b lost',
      'make for b, wake in 900',
    ],
    [
      'tries each failed one again once',
      { job: { failed: 1 } },
      'a failed, b running for a',
      'make',
    ],
    [
      'fails when more failed than may',
      { job: { failed: 3 } },
      'a failed, b failed, c failed, d running',
      'stop d finished, failed',
    ],
    [
      'is complete rather than failed when both come together',
      { job: { failed: 3, succeeded: 3 } },
      '',
      'complete',
    ],
    [
      'fails when its time is up',
      { policy: { deadlineMs: 60_000n } },
      'a running',
      'stop a finished, deadline_exceeded',
    ],
    [
      'looks again when its time will be up',
      { policy: { deadlineMs: 61_000n } },
      'a running, b running',
      'wake in 1000',
    ],
    ['makes up for what was lost', {}, 'a lost, b running', 'make for a'],
    ['does so once', {}, 'a lost, b running, c waiting for a', ''],
    ['waits for a lost one that may come back', {}, 'a awaited, b running', 'wake in 5000'],
    ['waits for one that is kept for as long as it takes', {}, 'a kept, b running', ''],
    ['moves what is to leave its node', {}, 'a marked, b running', 'make for a, stop a replaced'],
    ['does not wait for what is being stopped', {}, 'a stopping, b running', 'make'],
    [
      'ends the youngest when fewer are to run at a time',
      { policy: { parallelism: 1 } },
      'a running, b running, c waiting',
      'stop b scaled, forget c',
    ],
    ['stays as it ended', { job: { outcome: 'failed', finishedAtMs: 1n } }, '', ''],
    [
      'expires after its time',
      {
        job: { outcome: 'complete', finishedAtMs: BigInt(nowMs - 500) },
        policy: { ttlAfterFinishedMs: 500n },
      },
      'a done',
      'expire',
    ],
    [
      'does not expire before',
      {
        job: { outcome: 'complete', finishedAtMs: BigInt(nowMs - 500) },
        policy: { ttlAfterFinishedMs: 800n },
      },
      'a done',
      'wake in 300',
    ],
    [
      'is deleted with its history',
      { deleted: true },
      'a done, b running, c waiting, d lost',
      'stop a deleted, stop b deleted, forget c, forget d',
    ],
    ['is gone when all of it is', { deleted: true }, '', 'finish'],
  ]
  for (const [property, facts, observed, expected] of rows) {
    it(property, () => {
      const plan = planAt(jobRecord(facts), attempts(observed))
      assert.equal(said(plan), expected)
    })
  }

  it('begins when it is first looked at', () => {
    const record = { ...jobRecord(), job: undefined } as unknown as WorkloadRecord
    const { after } = planAt(record, [])
    assert.equal(after?.job?.startedAtMs, BigInt(nowMs))
  })

  it('keeps a bounded history, the newest of it', () => {
    const history = Array.from({ length: attemptsKeptMax + 2 }, (_, n) =>
      replicaRecord(`r${n}`, {
        spec: { type: WorkloadType.JOB } as never,
        ...ended(ReplicaState.STOPPED, 1_000 + n),
      }),
    )
    const { stop } = planAt(jobRecord({ policy: { completions: 100 } }), history)
    assert.deepEqual(
      stop.map(({ replica, reason }) => [replica.status!.id, reason]),
      [
        ['r1', 'outlived'],
        ['r0', 'outlived'],
      ],
    )
  })
})

/** What may befall an attempt. */
const fates = ['run', 'succeed', 'fail', 'lose', 'mark', 'gone'] as const

it('whatever befalls its attempts, a job never has too many, and what ended well stays so', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...fates), fc.nat(20)), { maxLength: 60 })
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 6 }),
      (fated, parallelism, completions) => {
        let record = jobRecord({
          policy: { parallelism, completions, retries: 3 },
          job: { startedAtMs: 0n },
        })
        let replicas: ReplicaRecord[] = []
        let made = 0
        let atMs = nowMs
        let succeeded = 0
        for (const [fate, which] of fated) {
          const plan = planAt(record, replicas, (atMs += 400_000))
          assert.ok(record.job!.outcome === '' || plan.create.length === 0)
          record = plan.after ?? record
          replicas = carriedOut(replicas, plan, () => `r${made++}`)
          const active = replicas.filter((r) => !isOver(r) && r.status!.state !== ReplicaState.LOST)
          assert.ok(active.length <= parallelism, `${active.length} are active`)
          const target = active[which % Math.max(1, active.length)]
          if (target === undefined) continue
          const after = befallen(target, fate, atMs)
          replicas = replicas.flatMap((r) => (r === target ? (after ? [after] : []) : [r]))
          if (after && isOver(after)) record = { ...record, job: countAttempt(record.job, after) }
          if (fate === 'succeed' && record.job!.outcome === '') succeeded++
          assert.equal(record.job!.succeeded, succeeded)
          assert.ok(record.job!.succeeded <= completions)
        }
        // Everything goes well from here on: it ends.
        for (let n = 0; n < 40 && record.job!.outcome === ''; n++) {
          const plan = planAt(record, replicas, (atMs += 400_000))
          record = plan.after ?? record
          replicas = carriedOut(replicas, plan, () => `r${made++}`)
          replicas = replicas.map((r) => {
            if (isOver(r) || r.status!.state === ReplicaState.LOST) return r
            const after = befallen(r, 'succeed', atMs)!
            record = { ...record, job: countAttempt(record.job, after) }
            return after
          })
        }
        assert.notEqual(record.job!.outcome, '')
      },
    ),
    { numRuns: 200 },
  )
})

function carriedOut(
  replicas: readonly ReplicaRecord[],
  { create, stop, forget }: JobPlan,
  newId: () => string,
): ReplicaRecord[] {
  const gone = new Set([...stop.map(({ replica }) => replica), ...forget])
  const made = create.map(({ replaces }) =>
    replicaRecord(newId(), { spec: { type: WorkloadType.JOB } as never, status: { replaces } }),
  )
  return [...replicas.filter((r) => !gone.has(r)), ...made]
}

function befallen(
  replica: ReplicaRecord,
  fate: (typeof fates)[number],
  atMs: number,
): ReplicaRecord | undefined {
  const on = { ...replica.status!, nodeId: 'node-a' }
  const finishedAtMs = BigInt(atMs)
  switch (fate) {
    case 'run':
      return { ...replica, status: { ...on, state: ReplicaState.RUNNING } }
    case 'succeed':
      return { ...replica, status: { ...on, state: ReplicaState.STOPPED, finishedAtMs } }
    case 'fail':
      return { ...replica, status: { ...on, state: ReplicaState.FAILED, finishedAtMs } }
    case 'lose':
      return { ...replica, status: { ...on, state: ReplicaState.LOST } }
    case 'mark':
      return { ...replica, replaceWanted: true, status: on }
    case 'gone':
      return undefined
  }
}
