/**
 * Attempts: the replicas of a job. Each runs once; how it ends is counted on the job's own record, in the transaction in which
 * it is first stored: so it is counted once, whatever becomes of the attempt, its node or us afterwards.
 *
 * Vocabulary: an attempt is *over* when its container has ended for good. It is kept as history, holds nothing on its node,
 * and nothing that happens there changes how it ended; should it run again, it is stopped.
 */
import {
  JobStatusSchema,
  ReplicaState,
  WorkloadType,
  type JobStatus,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { create } from '@bufbuild/protobuf'
import type { Precondition, Write } from '@cloudless/metadata'
import { putRecord, unchanged, type ClusterState, type Held } from '../state/cluster-state.ts'

export function isAttempt(replica: ReplicaRecord): boolean {
  return replica.spec?.type === WorkloadType.JOB
}

export function isOver(replica: ReplicaRecord): boolean {
  return isAttempt(replica) && replica.status!.finishedAtMs > 0n
}

/** One that belongs to its node, and stays there when that is drained. */
export function isDaemon(replica: ReplicaRecord): boolean {
  return replica.spec?.type === WorkloadType.DAEMON
}

/** The job's figures once the attempt has become over. */
export function countAttempt(job: JobStatus | undefined, attempt: ReplicaRecord): JobStatus {
  const counted = { ...(job ?? create(JobStatusSchema)) }
  if (counted.outcome !== '') return counted
  if (attempt.status!.state === ReplicaState.STOPPED) counted.succeeded++
  // One that was to be replaced did not fail by itself.
  else if (!attempt.replaceWanted) counted.failed++
  return counted
}

/** What the changes of one transaction count on the records of jobs. */
export class JobCounts {
  readonly #state: Pick<ClusterState, 'held'>
  readonly #jobs = new Map<string, { held: Held<WorkloadRecord>; record: WorkloadRecord }>()

  constructor(state: Pick<ClusterState, 'held'>) {
    this.#state = state
  }

  /** The replica is to become `after`. Whether that counts, and so takes a record more. */
  note(before: ReplicaRecord, after: ReplicaRecord): boolean {
    if (isOver(before) || !isOver(after)) return false
    const { workloadId } = after.status!
    const held = this.#state.held('workload', workloadId)
    if (held === undefined) return false
    const { record } = this.#jobs.get(workloadId) ?? { record: held.record }
    this.#jobs.set(workloadId, {
      held,
      record: { ...record, job: countAttempt(record.job, after) },
    })
    return true
  }

  preconditions(): Precondition[] {
    return [...this.#jobs.values()].map(({ held }) => unchanged('workload', held))
  }

  writes(): Write[] {
    return [...this.#jobs].map(([id, { record }]) => putRecord('workload', id, record))
  }
}

/** What storing an observation of the replica takes at most: itself, and the record of its job. */
export function recordsTouched(
  state: Pick<ClusterState, 'held'>,
  replica: Held<ReplicaRecord>,
): { readonly bytes: number }[] {
  if (!isAttempt(replica.record)) return [replica]
  const job = state.held('workload', replica.record.status!.workloadId)
  return job === undefined ? [replica] : [replica, job]
}
