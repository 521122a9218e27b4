/**
 * Decides what to change so that a job gets on: which attempts to make and to end, and whether it is over.
 *
 * Pure: the same records give the same plan, so it may be computed twice, late or after a crash without harm. How attempts
 * ended is counted elsewhere (job-attempts.ts), so nothing here depends on an attempt's record still being there.
 *
 *     begins ──▶ attempts ──enough ended well──▶ complete
 *                 │  ▲ └────more failed than may──▶ failed
 *                 └──┘ └────its time is up──▶ deadline_exceeded
 *              one failed,
 *          was lost or moved
 *
 * Invariants
 *   1. No more than `parallelism` attempts are active by our own making, and no more than completions are missing.
 *   2. Once there is an outcome it stays, and nothing is made any more.
 *   3. An attempt that is over is only ever removed as history, the oldest first.
 */
import {
  JobPolicySchema,
  JobStatusSchema,
  ReplicaState,
  type JobPolicy,
  type JobStatus,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { create } from '@bufbuild/protobuf'
import { isOver } from './job-attempts.ts'
import { planDeletion } from './plan-deletion.ts'
import { isAwaited, isLost, isPlaced } from './replica-facts.ts'
import { nothing, retire, type NewReplica, type WorkloadPlan } from './workload-plan.ts'

export interface JobPlan extends WorkloadPlan {
  /** The job's record with it; undefined when it stays as it is. */
  readonly after: WorkloadRecord | undefined
  /** It has just ended. */
  readonly hasEnded: boolean
}

/** Attempts that are over and kept, with their logs, on their nodes; of one job. */
export const attemptsKeptMax = 20
/** Before the next attempt after one failed; doubles with each that did. */
const retryDelayMsMin = 1_000
const retryDelayMsMax = 300_000

export interface JobTimes {
  readonly nowMs: number
  /** Until its deadline, as deadline-times.ts tells; infinite without one. */
  readonly leftMs: number
}

/** `replicas` are all on record of the job, in any order. */
export function planJob(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  { nowMs, leftMs }: JobTimes,
): JobPlan {
  if (workload.deletedAtMs > 0n) {
    const plan = planDeletion(replicas, workload.deleteGraceMs)
    return { ...plan, after: undefined, hasEnded: false }
  }
  const policy = workload.workload!.spec!.job ?? create(JobPolicySchema)
  const before = workload.job ?? create(JobStatusSchema)
  const job = advanced(before, policy, { nowMs, leftMs })
  const history = oldestOf(replicas)
  const { revision } = workload.workload!
  const plan =
    job.outcome === ''
      ? planAttempts({ job, policy, revision, nowMs, leftMs }, replicas)
      : endAll(job, policy, replicas)
  const isExpired = job.outcome !== '' && plan.wakeAtMs > 0 && plan.wakeAtMs <= nowMs
  const hasChanged = job.startedAtMs !== before.startedAtMs || job.outcome !== before.outcome
  const deletedAtMs = isExpired ? BigInt(nowMs) : 0n
  return {
    ...plan,
    stop: [...plan.stop, ...history.map((replica) => ({ replica, reason: 'outlived' as const }))],
    wakeAtMs: isExpired ? 0 : plan.wakeAtMs,
    after: hasChanged || isExpired ? { ...workload, job, deletedAtMs } : undefined,
    hasEnded: job.outcome !== before.outcome,
  }
}

/** It has begun, and may have ended. */
function advanced(job: JobStatus, policy: JobPolicy, { nowMs, leftMs }: JobTimes): JobStatus {
  if (job.outcome !== '') return job
  const startedAtMs = job.startedAtMs || BigInt(nowMs)
  const outcome = outcomeOf(job, policy, leftMs)
  return { ...job, startedAtMs, outcome, finishedAtMs: outcome === '' ? 0n : BigInt(nowMs) }
}

function outcomeOf(job: JobStatus, policy: JobPolicy, leftMs: number): string {
  if (job.succeeded >= completionsOf(policy)) return 'complete'
  if (job.failed > (policy.retries ?? 0)) return 'failed'
  return leftMs <= 0 ? 'deadline_exceeded' : ''
}

function completionsOf(policy: JobPolicy): number {
  return policy.completions || 1
}

/** Attempts that may be active at a time: none that nothing is left to do for. */
export function activeMaxOf(job: JobStatus | undefined, policy: JobPolicy | undefined): number {
  if (policy === undefined || (job !== undefined && job.outcome !== '')) return 0
  return Math.min(policy.parallelism || 1, completionsOf(policy) - (job?.succeeded ?? 0))
}

interface JobFacts {
  readonly job: JobStatus
  readonly policy: JobPolicy
  readonly revision: bigint
  readonly nowMs: number
  readonly leftMs: number
}

function planAttempts(
  { job, policy, revision, nowMs, leftMs }: JobFacts,
  replicas: readonly ReplicaRecord[],
): WorkloadPlan {
  const live = replicas.filter((r) => !r.stopping && !isLost(r) && !isOver(r))
  const awaited = replicas.filter((r) => !r.stopping && isAwaited(r, nowMs))
  const marked = live.filter((r) => r.replaceWanted)
  const active = live.filter((r) => !r.replaceWanted).sort(byProgress)
  const wanted = activeMaxOf(job, policy)
  const missing = Math.max(0, wanted - active.length - awaited.length)

  const lost = replicas.filter((r) => isLost(r) && !r.stopping && !isAwaited(r, nowMs))
  const failed = replicas.filter(hasFailed).sort(newestFirst)
  const retryAtMs = retryTimeOf(job, failed)
  const mayRetry = nowMs >= retryAtMs
  const moved = unsucceeded([...marked, ...lost], replicas)
  const tried = mayRetry ? unsucceeded(failed, replicas) : []
  const count = mayRetry ? missing : Math.min(missing, moved.length)
  const replaced = [...moved, ...tried].slice(0, count).map((r) => r.status!.id)
  const create = Array.from({ length: count }, (_, n): NewReplica => ({
    replaces: replaced[n] ?? '',
    revision,
  }))

  const surplus = retire(active.slice(wanted), 'scaled')
  const leaving = retire(marked, 'replaced')
  const times = [
    ...(missing > count ? [retryAtMs] : []),
    ...(Number.isFinite(leftMs) ? [nowMs + leftMs] : []),
    ...awaited.map((r) => Number(r.replaceAtMs)),
  ]
  return {
    ...nothing,
    create,
    stop: [...surplus.stop, ...leaving.stop],
    forget: [...surplus.forget, ...leaving.forget],
    wakeAtMs: earliestOf(times),
  }
}

/** Nothing runs any more; what it left is kept until its time is over. */
function endAll(
  job: JobStatus,
  policy: JobPolicy,
  replicas: readonly ReplicaRecord[],
): WorkloadPlan {
  const live = replicas.filter((r) => !r.stopping && !isLost(r) && !isOver(r))
  const { ttlAfterFinishedMs } = policy
  const expiresAtMs =
    ttlAfterFinishedMs === undefined ? 0 : Number(job.finishedAtMs + ttlAfterFinishedMs)
  return { ...retire(live, 'finished'), wakeAtMs: expiresAtMs }
}

/** The history beyond what is kept. */
function oldestOf(replicas: readonly ReplicaRecord[]): readonly ReplicaRecord[] {
  return replicas
    .filter((r) => isOver(r) && !r.stopping)
    .sort(newestFirst)
    .slice(attemptsKeptMax)
}

function hasFailed(replica: ReplicaRecord): boolean {
  return isOver(replica) && replica.status!.state === ReplicaState.FAILED && !replica.replaceWanted
}

/** Those that nothing stands in for yet. */
function unsucceeded(
  candidates: readonly ReplicaRecord[],
  replicas: readonly ReplicaRecord[],
): readonly ReplicaRecord[] {
  const succeeded = new Set(replicas.map((r) => r.status!.replaces))
  return candidates.filter((r) => !succeeded.has(r.status!.id))
}

/** When the next attempt may be made; 0: at once. */
function retryTimeOf({ failed }: JobStatus, newestFailed: readonly ReplicaRecord[]): number {
  const [newest] = newestFailed
  if (newest === undefined || failed === 0) return 0
  const delayMs = Math.min(retryDelayMsMax, retryDelayMsMin * 2 ** Math.min(failed - 1, 30))
  return Number(newest.status!.finishedAtMs) + delayMs
}

/** Of those that are still to come by themselves; 0: none. */
function earliestOf(times: readonly number[]): number {
  const known = times.filter((atMs) => atMs > 0)
  return known.length === 0 ? 0 : Math.min(...known)
}

/** Most done first: on a node, then the oldest; ids break ties so that every plan is the same. */
function byProgress(a: ReplicaRecord, b: ReplicaRecord): number {
  return (
    Number(isPlaced(b)) - Number(isPlaced(a)) ||
    Number(a.status!.createdAtMs - b.status!.createdAtMs) ||
    (a.status!.id < b.status!.id ? -1 : 1)
  )
}

function newestFirst(a: ReplicaRecord, b: ReplicaRecord): number {
  return (
    Number(b.status!.finishedAtMs - a.status!.finishedAtMs) ||
    (a.status!.id < b.status!.id ? -1 : 1)
  )
}
