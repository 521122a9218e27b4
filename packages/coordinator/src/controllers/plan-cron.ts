/**
 * Decides what to change so that a cron's runs take place: whether one is due, whether it may begin, and which of the jobs it
 * made are to go.
 *
 * Pure: the same records give the same plan. `next_run_at_ms` on the cron's record is the time up to which everything is
 * decided, and moves on in the very transaction that makes a job or leaves a run out: so no run happens twice or is lost,
 * wherever the coordinator stops.
 *
 * Invariants
 *   1. A run belongs to one minute of the schedule, and happens once, whatever the clock does: the time decided on moves
 *      forward, and back only after a clock that was far ahead, never to before the last run.
 *   2. Of several runs that were missed only the newest is made up for, and only within the starting deadline.
 *   3. With "Forbid" no run begins while another goes on, or is still ending; with "Replace" that one is told to end.
 */
import { create } from '@bufbuild/protobuf'
import {
  CronStatusSchema,
  type CronPolicy,
  type CronStatus,
  type WorkloadRecord,
} from '@cloudless/api'
import {
  cronScheduleOf,
  formatDurationMs,
  latestRunMs,
  nextRunMs,
  type CronSchedule,
} from '@cloudless/base'
import { jobOfCron, nameOfRun } from './cron-jobs.ts'

export interface CronPlan {
  /** A job to make: the run that is due. */
  readonly run: WorkloadRecord | undefined
  /** Jobs to delete: those a new run replaces, and the history beyond what is kept. */
  readonly remove: readonly WorkloadRecord[]
  /** Why a run that was due is left out; undefined when none is. */
  readonly skipped: string | undefined
  /** The cron's record with it; undefined when it stays as it is. */
  readonly after: WorkloadRecord | undefined
  /** The record is to go: it is deleted, and so are its jobs. */
  readonly finished: boolean
  /** Plan again at this time, unix milliseconds; 0: only when something changes. */
  readonly wakeAtMs: number
}

/** Runs of one cron that go on at a time; further ones are left out. */
export const runsActiveMax = 100

const startingDeadlineMsDefault = 300_000
/** What is decided further ahead than the schedule goes was decided by a clock that was wrong. */
const aheadMsMax = 86_400_000

const nothing: CronPlan = {
  run: undefined,
  remove: [],
  skipped: undefined,
  after: undefined,
  finished: false,
  wakeAtMs: 0,
}

/** `jobs` are all on record that it made. `exists` tells whether there is a workload of that id, whoever made it. */
export function planCron(
  cron: WorkloadRecord,
  jobs: readonly WorkloadRecord[],
  { nowMs, exists }: { readonly nowMs: number; readonly exists: (id: string) => boolean },
): CronPlan {
  const there = jobs.filter((job) => job.deletedAtMs === 0n)
  if (cron.deletedAtMs > 0n) return { ...nothing, remove: there, finished: jobs.length === 0 }
  const policy = cron.workload!.spec!.cron!
  const before = cron.cron ?? create(CronStatusSchema)
  const schedule = cronScheduleOf(policy.schedule, policy.timeZone)
  // Checked before it was stored; a newer engine may know fewer time zones.
  if (schedule === undefined) return nothing
  const active = jobs.filter((job) => !isOver(job)).sort(oldestFirst)
  const base = withJobs(before, there, active)
  const kept = { ...base, nextRunAtMs: nextRunOf(cron, schedule, base, nowMs) }
  const outdated = historyToForget(there, policy)
  const decided = decideRun(cron, { schedule, policy, status: kept, active, nowMs, exists })
  const { run, replaced, skipped, status } = decided
  return {
    ...nothing,
    run,
    remove: [...outdated, ...replaced],
    skipped,
    after: sameStatus(before, status) ? undefined : { ...cron, cron: status },
    wakeAtMs: policy.suspend ? 0 : Number(status.nextRunAtMs),
  }
}

interface RunFacts {
  readonly schedule: CronSchedule
  readonly policy: CronPolicy
  readonly status: CronStatus
  readonly active: readonly WorkloadRecord[]
  readonly nowMs: number
  readonly exists: (id: string) => boolean
}

interface RunDecision {
  readonly run: WorkloadRecord | undefined
  readonly replaced: readonly WorkloadRecord[]
  readonly skipped: string | undefined
  readonly status: CronStatus
}

function decideRun(cron: WorkloadRecord, facts: RunFacts): RunDecision {
  const { schedule, policy, status, active, nowMs, exists } = facts
  const undecided = { run: undefined, replaced: [], skipped: undefined, status }
  const firstDueMs = Number(status.nextRunAtMs)
  if (policy.suspend || firstDueMs === 0 || nowMs < firstDueMs) return undecided
  const dueMs = latestRunMs(schedule, { afterMs: firstDueMs - 1, untilMs: nowMs }) ?? firstDueMs
  const next = { ...status, nextRunAtMs: BigInt(nextRunMs(schedule, nowMs) ?? 0) }
  const job = jobOfCron(cron, { name: nameOfRun(cron.workload!.name, dueMs), nowMs })
  const skipped = reasonToSkip(facts, dueMs) ?? reasonOfName(job, exists)
  if (skipped !== undefined) return { ...undecided, skipped, status: { ...next, skipped } }
  const replaced =
    policy.concurrencyPolicy === 'Replace' ? active.filter((one) => one.deletedAtMs === 0n) : []
  return {
    run: job,
    replaced,
    skipped: undefined,
    status: {
      ...next,
      lastRunAtMs: BigInt(dueMs),
      skipped: '',
      active: [...status.active, nameOf(job)],
    },
  }
}

function reasonToSkip({ policy, active, nowMs }: RunFacts, dueMs: number): string | undefined {
  const deadlineMs = Number(policy.startingDeadlineMs) || startingDeadlineMsDefault
  const lateMs = nowMs - dueMs
  const due = `the run due at ${new Date(dueMs).toISOString().slice(0, 16)}Z`
  if (lateMs > deadlineMs) {
    return (
      `${due} was noticed ${formatDurationMs(lateMs)} late, ` +
      `more than its starting deadline of ${formatDurationMs(deadlineMs)}`
    )
  }
  const [oldest] = active
  if (oldest !== undefined && policy.concurrencyPolicy === 'Forbid') {
    return `${due} found ${nameOf(oldest)} still going on, and its concurrency policy is Forbid`
  }
  if (active.length >= runsActiveMax && policy.concurrencyPolicy !== 'Replace') {
    return `${due} found ${active.length} runs still going on, and there may be ${runsActiveMax}`
  }
  return undefined
}

function reasonOfName(job: WorkloadRecord, exists: (id: string) => boolean): string | undefined {
  return exists(job.workload!.id)
    ? `there is a workload "${nameOf(job)}" already, the name of the job for it`
    : undefined
}

/**
 * The time decided on. Where the clock was far ahead for a while, runs until then were left out, and would be for as long as
 * it takes to get there: they are due again, as far as none of them took place.
 */
function nextRunOf(
  cron: WorkloadRecord,
  schedule: CronSchedule,
  status: CronStatus,
  nowMs: number,
): bigint {
  const { nextRunAtMs, lastRunAtMs } = status
  if (nextRunAtMs === 0n) return firstRunOf(cron, schedule, status)
  const soonestMs = nextRunMs(schedule, Math.max(nowMs, Number(lastRunAtMs)))
  const isAhead = soonestMs !== undefined && Number(nextRunAtMs) - soonestMs > aheadMsMax
  return isAhead ? BigInt(soonestMs) : nextRunAtMs
}

/** Of a cron that is new, or has another schedule: from when it was stored on. */
function firstRunOf(cron: WorkloadRecord, schedule: CronSchedule, status: CronStatus): bigint {
  const sinceMs = Math.max(Number(cron.workload!.updatedAtMs), Number(status.lastRunAtMs))
  return BigInt(nextRunMs(schedule, sinceMs) ?? 0)
}

function withJobs(
  status: CronStatus,
  jobs: readonly WorkloadRecord[],
  active: readonly WorkloadRecord[],
): CronStatus {
  const successes = jobs.filter(isComplete).map(({ job }) => job!.finishedAtMs)
  const lastSuccessAtMs = successes.reduce(
    (newest, atMs) => (atMs > newest ? atMs : newest),
    status.lastSuccessAtMs,
  )
  return { ...status, lastSuccessAtMs, active: active.map(nameOf) }
}

function historyToForget(
  jobs: readonly WorkloadRecord[],
  { successfulHistory = 3, failedHistory = 1 }: CronPolicy,
): readonly WorkloadRecord[] {
  const over = jobs.filter(isOver).sort(newestFirst)
  return [
    ...over.filter(isComplete).slice(successfulHistory),
    ...over.filter((job) => !isComplete(job)).slice(failedHistory),
  ]
}

function isOver({ job }: WorkloadRecord): boolean {
  return job !== undefined && job.outcome !== ''
}

function isComplete({ job }: WorkloadRecord): boolean {
  return job?.outcome === 'complete'
}

function nameOf({ workload }: WorkloadRecord): string {
  return workload!.name
}

function oldestFirst(a: WorkloadRecord, b: WorkloadRecord): number {
  const [one, other] = [a.workload!, b.workload!]
  return Number(one.createdAtMs - other.createdAtMs) || (one.id < other.id ? -1 : 1)
}

function newestFirst(a: WorkloadRecord, b: WorkloadRecord): number {
  return Number(b.job!.finishedAtMs - a.job!.finishedAtMs) || oldestFirst(b, a)
}

function sameStatus(a: CronStatus, b: CronStatus): boolean {
  return (
    a.lastRunAtMs === b.lastRunAtMs &&
    a.nextRunAtMs === b.nextRunAtMs &&
    a.lastSuccessAtMs === b.lastSuccessAtMs &&
    a.skipped === b.skipped &&
    a.active.join() === b.active.join()
  )
}
