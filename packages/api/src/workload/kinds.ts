/**
 * The kinds of work: services, daemons, jobs and crons. Which fields belong to which, and what they are when not given.
 *
 * A field of another kind is refused rather than overlooked: who wrote it expects something of it.
 */
import { create } from '@bufbuild/protobuf'
import { problemWithSchedule, problemWithTimeZone } from '@cloudless/base'
import {
  JobPolicySchema,
  RestartPolicyKind,
  RestartPolicySchema,
  RolloutStrategyKind,
  RolloutStrategySchema,
  WorkloadType,
  type CronPolicy,
  type JobPolicy,
  type RolloutStrategy,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import type { ProblemList } from './problem.ts'

/** What is to be done when a run is due while one goes on. */
export const concurrencyPolicies: readonly string[] = ['Allow', 'Forbid', 'Replace']

const parallelismMax = 10_000
const completionsMax = 1_000_000
const retriesMax = 10_000
const yearMs = 366 * 86_400_000
const durationMsMax = 10 * yearMs
const historyMax = 100

const retriesDefault = 6
const startingDeadlineMsDefault = 300_000n
const successfulHistoryDefault = 3
const failedHistoryDefault = 1

type Spec = Pick<WorkloadSpec, 'type'>

/** A service when it does not say. */
export function workloadTypeOf(spec: Spec | undefined): WorkloadType {
  return spec?.type || WorkloadType.SERVICE
}

/** Whether `replicas` says how many there are to be; the others count in their own ways. */
export function isService(spec: Spec | undefined): boolean {
  return workloadTypeOf(spec) === WorkloadType.SERVICE
}

/** Fills in what depends on the kind, in place; before the defaults that all have in common. */
export function fillKind(spec: WorkloadSpec): void {
  spec.type = workloadTypeOf(spec)
  if (isService(spec)) return
  spec.replicas = 0
  if (spec.type === WorkloadType.DAEMON) {
    spec.rollout ??= create(RolloutStrategySchema)
    // The old one has to go before the new one comes: both have the same ports.
    spec.rollout.maxUnavailable ||= 1
    return
  }
  spec.restartPolicy ??= create(RestartPolicySchema)
  spec.restartPolicy.policy ||= RestartPolicyKind.NEVER
  spec.job ??= create(JobPolicySchema)
  spec.job.parallelism ||= 1
  spec.job.completions ||= 1
  spec.job.retries ??= retriesDefault
  if (spec.type === WorkloadType.CRON && spec.cron !== undefined) fillCron(spec.cron)
}

function fillCron(cron: CronPolicy): void {
  cron.concurrencyPolicy ||= 'Allow'
  cron.startingDeadlineMs ||= startingDeadlineMsDefault
  cron.successfulHistory ??= successfulHistoryDefault
  cron.failedHistory ??= failedHistoryDefault
}

/** Whether the workload has a rollout of its own: jobs end, and crons make jobs. */
export function hasRollout(spec: Spec): boolean {
  const type = workloadTypeOf(spec)
  return type === WorkloadType.SERVICE || type === WorkloadType.DAEMON
}

const names: Readonly<Record<WorkloadType, string>> = {
  [WorkloadType.UNSPECIFIED]: 'SERVICE',
  [WorkloadType.SERVICE]: 'SERVICE',
  [WorkloadType.DAEMON]: 'DAEMON',
  [WorkloadType.JOB]: 'JOB',
  [WorkloadType.CRON]: 'CRON',
}

const { UNSPECIFIED, SERVICE, DAEMON, JOB, CRON } = WorkloadType

const typesByField = {
  rollout: [SERVICE, DAEMON],
  job: [JOB, CRON],
  cron: [CRON],
  rebalance: [SERVICE],
} as const satisfies Partial<Record<keyof WorkloadSpec, readonly WorkloadType[]>>

/** What to do where `replicas` says nothing, in words that follow a colon. */
export const insteadOfReplicas: Readonly<Record<WorkloadType, string>> = {
  [UNSPECIFIED]: '',
  [SERVICE]: '',
  [DAEMON]: 'a daemon has one on every node that its placement allows; change that',
  [JOB]: 'a job has job.parallelism at a time until job.completions have ended well; change these',
  [CRON]: 'each job of a cron has job.parallelism at a time; change that',
}

export function validateKind(spec: WorkloadSpec, problems: ProblemList): void {
  if (names[spec.type] === undefined) {
    problems.at('type').add(`must be SERVICE, DAEMON, JOB or CRON, not ${spec.type}`)
    return
  }
  const type = workloadTypeOf(spec)
  for (const [field, types] of Object.entries(typesByField)) {
    if (spec[field as keyof typeof typesByField] === undefined) continue
    if ((types as readonly WorkloadType[]).includes(type)) continue
    const owners = types.map((one) => names[one]).join(' or ')
    problems.at(field).add(`belongs to a workload of type ${owners}, not ${names[type]}`)
  }
  if (type !== SERVICE && spec.replicas !== 0) {
    problems.at('replicas').add(`belongs to a workload of type SERVICE: ${insteadOfReplicas[type]}`)
  }
  if (type === CRON && spec.cron === undefined) {
    problems.at('cron').add('must be given for a workload of type CRON, with its schedule')
  }
  if (type === DAEMON && spec.rollout !== undefined) {
    validateDaemonRollout(spec.rollout, problems.at('rollout'))
  }
  const ends = type === JOB || type === CRON
  if (ends && spec.restartPolicy?.policy === RestartPolicyKind.ALWAYS) {
    problems
      .at('restartPolicy', 'policy')
      .add(`must be NEVER or ON_FAILURE for a workload of type ${names[type]}: it is to end`)
  }
  if (ends && spec.job !== undefined) validateJob(spec.job, problems.at('job'))
  if (type === CRON && spec.cron !== undefined) validateCron(spec.cron, problems.at('cron'))
}

function validateDaemonRollout(rollout: RolloutStrategy, problems: ProblemList): void {
  const { UNSPECIFIED, ROLLING_UPDATE } = RolloutStrategyKind
  if (rollout.strategy !== UNSPECIFIED && rollout.strategy !== ROLLING_UPDATE) {
    problems.at('strategy').add('must be ROLLING_UPDATE for a daemon: it is updated node by node')
  }
  if (rollout.maxSurge > 0) {
    problems
      .at('maxSurge')
      .add('must be 0 for a daemon: a node has room for one; use max_unavailable')
  }
}

function validateJob(job: JobPolicy, problems: ProblemList): void {
  problems.at('parallelism').integer(job.parallelism, { min: 0, max: parallelismMax })
  problems.at('completions').integer(job.completions, { min: 0, max: completionsMax })
  problems.at('retries').integer(job.retries ?? 0, { min: 0, max: retriesMax })
  problems.at('deadlineMs').integer(job.deadlineMs, { min: 0, max: durationMsMax })
  problems
    .at('ttlAfterFinishedMs')
    .integer(job.ttlAfterFinishedMs ?? 0n, { min: 0, max: durationMsMax })
}

function validateCron(cron: CronPolicy, problems: ProblemList): void {
  problems.at('schedule').addIf(problemWithSchedule(cron.schedule))
  problems.at('timeZone').addIf(problemWithTimeZone(cron.timeZone))
  problems.at('concurrencyPolicy').oneOf(cron.concurrencyPolicy, ['', ...concurrencyPolicies])
  problems.at('startingDeadlineMs').integer(cron.startingDeadlineMs, { min: 0, max: yearMs })
  for (const name of ['successfulHistory', 'failedHistory'] as const) {
    problems.at(name).integer(cron[name] ?? 0, { min: 0, max: historyMax })
  }
}
