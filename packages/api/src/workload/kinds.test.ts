import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { equals, fromJson, type JsonObject } from '@bufbuild/protobuf'
import {
  RestartPolicyKind,
  WorkloadSchema,
  WorkloadSpecSchema,
  WorkloadType,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { defaultWorkloadSpec } from './default-workload.ts'
import { validateWorkload } from './validate-workload.ts'

const daemon = { type: 'WORKLOAD_TYPE_DAEMON' }
const job = { type: 'WORKLOAD_TYPE_JOB' }
const cron = { type: 'WORKLOAD_TYPE_CRON' }
const daily = { schedule: '@daily' }

function problemsOf(spec: JsonObject): string[] {
  const workload = fromJson(WorkloadSchema, { name: 'web', spec: { image: 'nginx', ...spec } })
  return validateWorkload(workload).map(({ field }) => field.replace(/^spec\./, ''))
}

function filled(spec: JsonObject): WorkloadSpec {
  return defaultWorkloadSpec(fromJson(WorkloadSpecSchema, { image: 'nginx', ...spec }))
}

describe('a workload of a kind', () => {
  const rows: readonly [property: string, spec: JsonObject, ...fields: string[]][] = [
    ['is accepted as a daemon', daemon],
    ['is accepted as a job', job],
    ['is accepted as a cron with a schedule', { ...cron, cron: daily }],
    ['is one of those there are', { type: 9 as never }, 'type'],
    ['has a schedule as a cron', cron, 'cron'],
    ['has one only as a cron', { ...job, cron: daily }, 'cron'],
    ['has no job as a service', { job: {} }, 'job'],
    ['has no job as a daemon', { ...daemon, job: {} }, 'job'],
    ['may have one as a cron', { ...cron, cron: daily, job: { retries: 0 } }],
    ['has no rollout as a job', { ...job, rollout: { maxSurge: 1 } }, 'rollout'],
    [
      'is scaled by itself only as a service',
      {
        ...daemon,
        autoscaling: { maxReplicas: 2, metrics: [{ type: 'cpu', targetPercent: 50 }] },
        resources: { requests: { cpuMillicores: 10 } },
      },
      'autoscaling',
    ],
    ['is rebalanced only as a service', { ...job, rebalance: { enabled: true } }, 'rebalance'],
    ['has replicas only as a service', { ...daemon, replicas: 3 }, 'replicas'],
    [
      'is updated node by node as a daemon',
      { ...daemon, rollout: { strategy: 'ROLLOUT_STRATEGY_KIND_BLUE_GREEN' } },
      'rollout.strategy',
    ],
    ['never surges as a daemon', { ...daemon, rollout: { maxSurge: 1 } }, 'rollout.maxSurge'],
    [
      'is to end as a job',
      { ...job, restartPolicy: { policy: 'RESTART_POLICY_KIND_ALWAYS' } },
      'restartPolicy.policy',
    ],
    [
      'may be started again in its place as a job',
      { ...job, restartPolicy: { policy: 'RESTART_POLICY_KIND_ON_FAILURE' } },
    ],
    ['has a sensible number at a time', { ...job, job: { parallelism: -1 } }, 'job.parallelism'],
    ['has sensible completions', { ...job, job: { completions: -1 } }, 'job.completions'],
    ['has sensible retries', { ...job, job: { retries: -1 } }, 'job.retries'],
    ['has no deadline before it began', { ...job, job: { deadlineMs: '-1' } }, 'job.deadlineMs'],
    ['is due some time', { ...cron, cron: { schedule: '0 0 30 2 *' } }, 'cron.schedule'],
    ['is somewhere', { ...cron, cron: { ...daily, timeZone: 'Mars/Base' } }, 'cron.timeZone'],
    [
      'has a concurrency policy that there is',
      { ...cron, cron: { ...daily, concurrencyPolicy: 'Sometimes' } },
      'cron.concurrencyPolicy',
    ],
    [
      'keeps a bounded history',
      { ...cron, cron: { ...daily, successfulHistory: 1_000 } },
      'cron.successfulHistory',
    ],
  ]
  for (const [property, spec, ...fields] of rows) {
    it(property, () => assert.deepEqual(problemsOf(spec), fields))
  }
})

describe('the defaults of a kind', () => {
  it('make a service of what does not say', () => {
    assert.equal(filled({ replicas: 2 }).type, WorkloadType.SERVICE)
    assert.equal(filled({ replicas: 2 }).replicas, 2)
  })

  it('have daemons updated one node after another', () => {
    const { rollout, replicas, restartPolicy } = filled({ ...daemon, replicas: 7 })
    assert.deepEqual([rollout?.maxUnavailable, rollout?.maxSurge, replicas], [1, 0, 0])
    assert.equal(restartPolicy?.policy, RestartPolicyKind.ALWAYS)
  })

  it('have jobs run once, and try six times more', () => {
    const { job: policy, restartPolicy, rollout } = filled(job)
    assert.deepEqual([policy?.parallelism, policy?.completions, policy?.retries], [1, 1, 6])
    assert.equal(restartPolicy?.policy, RestartPolicyKind.NEVER)
    assert.equal(rollout, undefined)
    assert.equal(filled({ ...job, job: { retries: 0 } }).job?.retries, 0)
  })

  it('have crons make jobs, and keep a few', () => {
    const { cron: policy, job } = filled({ ...cron, cron: daily })
    assert.equal(policy?.concurrencyPolicy, 'Allow')
    assert.equal(policy.startingDeadlineMs, 300_000n)
    assert.deepEqual([policy.successfulHistory, policy.failedHistory], [3, 1])
    assert.equal(job?.retries, 6)
  })

  it('change nothing the second time, and are accepted', () => {
    for (const spec of [{}, daemon, job, { ...cron, cron: daily }]) {
      const once = filled(spec)
      assert.ok(equals(WorkloadSpecSchema, once, defaultWorkloadSpec(once)))
      const workload = fromJson(WorkloadSchema, { name: 'a' })
      assert.deepEqual(validateWorkload({ ...workload, spec: once }), [])
    }
  })
})
