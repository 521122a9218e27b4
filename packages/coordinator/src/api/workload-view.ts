/** What is served of a workload: its record, with a status computed from its replicas. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  ReplicaState,
  WorkloadPhase,
  WorkloadStatusSchema,
  type CronStatus,
  type JobStatus,
  type ReplicaRecord,
  type ReplicaStatus,
  type Workload,
  type WorkloadRecord,
  type WorkloadStatus,
} from '@cloudless/api'
import { isOver } from '../controllers/job-attempts.ts'
import type { ClusterState, Held } from '../state/cluster-state.ts'
import { viewReplica, viewRollout } from './rollout-view.ts'
import {
  cronStatusOf,
  desiredReplicasOf,
  jobStatusOf,
  phaseOfJob,
  wordsOfCron,
  wordsOfJob,
} from './kind-status.ts'

export interface WorkloadViewOptions {
  /** Fill status.replicas. */
  readonly withReplicas: boolean
  readonly modRevision: number
}

export function viewWorkload(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  options: WorkloadViewOptions,
): Workload {
  return {
    ...record.workload!,
    resourceVersion: BigInt(options.modRevision),
    status: statusOf(record, replicas, options.withReplicas),
  }
}

/** The same of a held record, with the replicas there are now. */
export function viewHeldWorkload(
  state: Pick<ClusterState, 'replicasOfWorkload'>,
  held: Held<WorkloadRecord>,
  withReplicas: boolean,
): Workload {
  const replicas = state.replicasOfWorkload(held.id).map((replica) => replica.record)
  return viewWorkload(held.record, replicas, { withReplicas, modRevision: held.modRevision })
}

export function statusOf(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  withReplicas = false,
): WorkloadStatus {
  const desired = desiredReplicasOf(record)
  const statuses = replicas.map((r) => r.status!)
  const live = replicas.filter(
    (r) => !r.stopping && r.status!.state !== ReplicaState.LOST && !isOver(r),
  )
  const ready = live.filter((r) => r.status!.ready)
  const updated = live.filter((r) => r.status!.revision === record.workload!.revision)
  const job = jobStatusOf(record, live)
  const cron = cronStatusOf(record)
  const phase = phaseOf(record, replicas, live, { desired, job, cron })
  const rollout = viewRollout(record, replicas)
  return create(WorkloadStatusSchema, {
    phase,
    message: messageOf(record, phase, live, { desired, job, cron }),
    readyReplicas: ready.length,
    currentReplicas: live.length,
    desiredReplicas: Math.max(0, desired),
    updatedReplicas: updated.length,
    replicas: withReplicas ? replicas.map((r) => viewReplica(r, record)).sort(byCreation) : [],
    lastTransitionMs: lastChangeOf(record, statuses),
    ...(record.workload!.spec!.autoscaling &&
      record.autoscaling && { autoscaling: record.autoscaling }),
    ...(rollout && { rollout }),
    ...(job && { job }),
    ...(cron && { cron }),
  })
}

interface Progress {
  /** -1: not known yet. */
  readonly desired: number
  readonly job: JobStatus | undefined
  readonly cron: CronStatus | undefined
}

function phaseOf(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  live: readonly ReplicaRecord[],
  { desired, job, cron }: Progress,
): WorkloadPhase {
  if (record.deletedAtMs > 0n) return WorkloadPhase.TERMINATING
  if (job !== undefined) return phaseOfJob(job)
  if (cron !== undefined) return WorkloadPhase.RUNNING
  if (replicas.length === 0 && desired !== 0) return WorkloadPhase.PENDING
  const current = live.filter(
    (r) => r.status!.revision === record.workload!.revision && !r.replaceWanted,
  )
  const inState = (state: ReplicaState): number =>
    current.filter((r) => r.status!.state === state).length
  if (inState(ReplicaState.FAILED) > 0) return WorkloadPhase.FAILED
  if (desired > 0 && inState(ReplicaState.STOPPED) === desired) return WorkloadPhase.SUCCEEDED
  if (inState(ReplicaState.PENDING) > 0) return WorkloadPhase.SCHEDULING
  const settled = live.length === current.length && current.length === desired
  const done = current.every((r) => r.status!.ready || r.status!.state === ReplicaState.STOPPED)
  return settled && done ? WorkloadPhase.RUNNING : WorkloadPhase.UPDATING
}

function messageOf(
  record: WorkloadRecord,
  phase: WorkloadPhase,
  live: readonly ReplicaRecord[],
  { desired, job, cron }: Progress,
): string {
  if (cron !== undefined && phase === WorkloadPhase.RUNNING) return wordsOfCron(cron, record)
  if (job === undefined && phase === WorkloadPhase.RUNNING) return ''
  if (phase === WorkloadPhase.SUCCEEDED) return ''
  const troubled = live.find((r) => !r.status!.ready && r.status!.message !== '')
  const ready = live.filter((r) => r.status!.ready).length
  const progress = job
    ? wordsOfJob(job, record)
    : `${ready} of ${Math.max(0, desired)} replicas ready`
  if (phase === WorkloadPhase.FAILED && job !== undefined) return progress
  return troubled ? `${progress}; ${troubled.status!.id}: ${troubled.status!.message}` : progress
}

function lastChangeOf(record: WorkloadRecord, statuses: readonly ReplicaStatus[]): bigint {
  let newest = record.workload!.updatedAtMs
  for (const status of statuses) {
    for (const atMs of [status.createdAtMs, status.startedAtMs, status.readyAtMs]) {
      if (atMs > newest) newest = atMs
    }
  }
  return newest
}

function byCreation(a: ReplicaStatus, b: ReplicaStatus): number {
  return Number(a.createdAtMs - b.createdAtMs) || (a.id < b.id ? -1 : 1)
}
