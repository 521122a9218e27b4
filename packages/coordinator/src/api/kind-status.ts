/** What is said of daemons, jobs and crons: how many they are to have, and how far they are. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  CronStatusSchema,
  JobStatusSchema,
  WorkloadPhase,
  WorkloadType,
  workloadTypeOf,
  type CronStatus,
  type JobStatus,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { activeMaxOf } from '../controllers/plan-job.ts'

/** Replicas there are to be now. Of a daemon as many as its nodes were when last counted; -1: they have not been. */
export function desiredReplicasOf({ workload, deletedAtMs, ...record }: WorkloadRecord): number {
  if (deletedAtMs > 0n) return 0
  const spec = workload!.spec!
  switch (workloadTypeOf(spec)) {
    case WorkloadType.DAEMON:
      return record.daemonNodes ?? -1
    case WorkloadType.JOB:
      return activeMaxOf(record.job, spec.job)
    case WorkloadType.CRON:
      return 0
    default:
      return spec.replicas
  }
}

/** `live` are its active attempts. Undefined of what is no job. */
export function jobStatusOf(
  { workload, job }: WorkloadRecord,
  live: readonly ReplicaRecord[],
): JobStatus | undefined {
  if (workloadTypeOf(workload!.spec) !== WorkloadType.JOB) return undefined
  return { ...(job ?? create(JobStatusSchema)), active: live.length }
}

/** Undefined of what is no cron. */
export function cronStatusOf({ workload, cron }: WorkloadRecord): CronStatus | undefined {
  const { spec } = workload!
  if (workloadTypeOf(spec) !== WorkloadType.CRON) return undefined
  const status = cron ?? create(CronStatusSchema)
  return spec!.cron?.suspend ? { ...status, nextRunAtMs: 0n } : status
}

const jobPhases: Readonly<Record<string, WorkloadPhase>> = {
  complete: WorkloadPhase.SUCCEEDED,
  failed: WorkloadPhase.FAILED,
  deadline_exceeded: WorkloadPhase.FAILED,
}

export function phaseOfJob({ outcome, startedAtMs }: JobStatus): WorkloadPhase {
  if (outcome !== '') return jobPhases[outcome] ?? WorkloadPhase.FAILED
  return startedAtMs === 0n ? WorkloadPhase.PENDING : WorkloadPhase.RUNNING
}

/** "2 of 3 completions, 1 failed". */
export function wordsOfJob(job: JobStatus, { workload }: WorkloadRecord): string {
  const { completions, retries } = workload!.spec!.job ?? { completions: 1, retries: 0 }
  const failures = job.failed === 0 ? '' : `, ${job.failed} failed`
  const progress = `${job.succeeded} of ${completions || 1} completions${failures}`
  if (job.outcome === 'failed') return `${progress}: more than its ${retries ?? 0} retries`
  return job.outcome === 'deadline_exceeded' ? `${progress}: its time is up` : progress
}

/** Empty while there is nothing to say. */
export function wordsOfCron({ skipped }: CronStatus, { workload }: WorkloadRecord): string {
  if (workload!.spec!.cron?.suspend) return 'suspended'
  return skipped === '' ? '' : `the last run that was due was left out: ${skipped}`
}
