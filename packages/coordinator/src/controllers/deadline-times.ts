/**
 * How long each job has left until its deadline, by a clock that does not jump.
 *
 * When a job began is on record by the clock on the wall, which tells how much of its time had gone by when this process first
 * saw it: more than nothing only after a restart. From then on time that passes counts, so a wall clock that jumps ahead ends
 * no job. One that was ahead already, as at boot, and is put right is believed the lower figure; a job is watched for a minute
 * before it is ended, for that to happen.
 */
import type { JobPolicy, JobStatus } from '@cloudless/api'
import type { Clock } from '@cloudless/base'

interface Known {
  readonly sinceMs: number
  /** How much of its time had gone by then. */
  readonly goneMs: number
}

const watchedMsMin = 60_000

export class DeadlineTimes {
  readonly #clock: Clock
  readonly #byJob = new Map<string, Known>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds, none or fewer when it is up; infinite without a deadline. May be asked as often as one likes. */
  leftMs(
    workloadId: string,
    { deadlineMs }: Pick<JobPolicy, 'deadlineMs'>,
    job: Pick<JobStatus, 'startedAtMs'> | undefined,
  ): number {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#byJob.get(workloadId)
    const sinceMs = known?.sinceMs ?? nowMs
    const watchedMs = nowMs - sinceMs
    const startedAtMs = Number(job?.startedAtMs ?? 0n)
    const onWallMs = startedAtMs === 0 ? 0 : this.#clock.wallMs() - startedAtMs - watchedMs
    const goneMs = Math.max(0, Math.min(known?.goneMs ?? Number.POSITIVE_INFINITY, onWallMs))
    this.#byJob.set(workloadId, { sinceMs, goneMs })
    if (deadlineMs === 0n) return Number.POSITIVE_INFINITY
    const wholeMs = Number(deadlineMs)
    return Math.max(wholeMs - goneMs - watchedMs, Math.min(wholeMs, watchedMsMin) - watchedMs)
  }

  /** It is gone, or over. */
  forget(workloadId: string): void {
    this.#byJob.delete(workloadId)
  }
}
