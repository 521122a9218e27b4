/** How attempts of jobs end is counted once, whatever becomes of their nodes. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  HelloSchema,
  JobPolicySchema,
  ReplicaObservationSchema,
  ReplicaState,
  WorkloadType,
  type Hello,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { settleReplicas } from '../controllers/settle-replicas.ts'
import { eventually, openCluster } from '../testing/cluster.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { ObservationWriter } from './observation-writer.ts'

const jobId = 'default-web'
const { STOPPED, FAILED, RUNNING, LOST } = ReplicaState

async function openJob(t: TestContext) {
  const cluster = await openCluster(t)
  const { state, put } = cluster
  const errors: unknown[] = []
  const writer = new ObservationWriter({
    state,
    clock: systemClock,
    onError: (reason) => errors.push(reason),
    onStored: () => undefined,
  })
  const job = create(JobPolicySchema, { completions: 500 })
  await put('workload', { [jobId]: workloadRecord({ spec: { type: WorkloadType.JOB, job } }) })
  const counts = (): string => {
    const counted = state.get('workload', jobId)!.job
    return `${counted?.succeeded ?? 0} ${counted?.failed ?? 0}`
  }
  return {
    ...cluster,
    errors,
    counts,
    attempt: (id: string, facts: Parameters<typeof readyReplica>[2] = {}) =>
      put('replica', {
        [id]: readyReplica(id, 'node-a', { ...facts, spec: { type: WorkloadType.JOB } as never }),
      }),
    report: (id: string, seen: ReplicaState, nodeId = 'node-a') =>
      writer.report(nodeId, [observed(id, seen)]),
    /** A session begins, in which the agent says this. */
    async welcome(hello: Hello): Promise<void> {
      await state.update(() => {
        const settled = settleReplicas({ state, nowMs: 9 }, 'node-a', hello)
        return { ...settled, result: undefined }
      })
    },
  }
}

function observed(replicaId: string, seen: ReplicaState) {
  return create(ReplicaObservationSchema, {
    replicaId,
    state: seen,
    lastExitCode: seen === STOPPED ? 0 : 1,
  })
}

function hello(...replicas: ReturnType<typeof observed>[]): Hello {
  return create(HelloSchema, { replicas })
}

test('an attempt counts when its end is stored, and never again', async (t) => {
  const job = await openJob(t)
  await job.attempt('a')
  await job.attempt('b')
  job.report('a', STOPPED)
  job.report('b', FAILED)
  await eventually(() => job.counts() === '1 1')
  assert.ok(job.state.get('replica', 'a')!.status!.finishedAtMs > 0n)
  job.report('a', STOPPED)
  job.report('a', RUNNING)
  job.report('b', STOPPED)
  await job.welcome(hello(observed('a', STOPPED), observed('b', FAILED)))
  await job.attempt('c')
  job.report('c', STOPPED)
  await eventually(() => job.counts() === '2 1')
  assert.ok(job.state.get('replica', 'a')!.status!.finishedAtMs > 0n)
})

test('many that end together are all counted', async (t) => {
  const job = await openJob(t)
  const ids = Array.from({ length: 400 }, (_, n) => `r${n}`)
  for (const id of ids) await job.attempt(id)
  for (const id of ids) job.report(id, STOPPED)
  await eventually(() => job.counts() === '400 0', job.counts, 20_000)
  assert.deepEqual(job.errors, [])
})

test('one that was to be replaced does not count as failed, and one being stopped not at all', async (t) => {
  const job = await openJob(t)
  await job.attempt('a', { replaceWanted: true })
  await job.attempt('b', { stopping: true })
  await job.attempt('c')
  job.report('a', FAILED)
  job.report('b', STOPPED)
  job.report('c', STOPPED)
  await eventually(() => job.counts() === '1 0')
  assert.equal(job.state.get('replica', 'b')!.status!.finishedAtMs, 0n)
})

test('work that was done on a node that was lost meanwhile is done, though it was replaced', async (t) => {
  const job = await openJob(t)
  await job.attempt('a', { status: { state: LOST, ready: false } })
  await job.attempt('b', { status: { replaces: 'a', nodeId: 'node-b' } })
  await job.welcome(hello(observed('a', STOPPED)))
  assert.equal(job.counts(), '1 0')
  assert.equal(job.state.get('replica', 'a')!.status!.state, STOPPED)
  assert.ok(job.state.get('replica', 'b'), 'whether it is still wanted is for the job to say')
})

test('what failed on a lost node and was replaced does not count', async (t) => {
  const job = await openJob(t)
  await job.attempt('a', { status: { state: LOST, ready: false } })
  await job.attempt('b', { status: { replaces: 'a', nodeId: 'node-b' } })
  await job.welcome(hello(observed('a', FAILED)))
  assert.equal(job.counts(), '0 0')
})

test('what is over and whose container is gone is forgotten rather than run again', async (t) => {
  const job = await openJob(t)
  await job.attempt('a')
  job.report('a', STOPPED)
  await eventually(() => job.counts() === '1 0')
  await job.welcome(hello())
  assert.equal(job.state.get('replica', 'a'), undefined)
  assert.equal(job.counts(), '1 0')
})

test("a daemon's replica is taken back when its node returns with it", async (t) => {
  const { state, put, welcome } = await openJob(t)
  const lost = replicaRecord('d', {
    spec: { type: WorkloadType.DAEMON } as never,
    status: { state: LOST, nodeId: 'node-a', boundNodeId: 'node-a' },
  })
  await put('replica', { d: lost })
  await welcome(hello(observed('d', RUNNING)))
  assert.equal(state.get('replica', 'd')!.status!.state, RUNNING)
})
