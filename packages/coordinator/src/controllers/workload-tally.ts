/**
 * How many replicas of a workload are in which state, kept up to date one change at a time: what most decisions about a
 * workload are made from without looking at its replicas, of which there may be a hundred thousand.
 *
 * A replica is *live* when it is neither being stopped nor lost.
 */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import type { RecordChange } from '../state/cluster-state.ts'

/** Of one revision; all but `live` are parts of it. */
export interface RevisionTally {
  readonly live: number
  /** On a node. */
  readonly placed: number
  readonly failed: number
  readonly ready: number
  /** By themselves, with exit code 0. */
  readonly ended: number
  /** To be replaced. */
  readonly marked: number
}

type Counts = { -readonly [K in keyof RevisionTally]: RevisionTally[K] }

const none: RevisionTally = { live: 0, placed: 0, failed: 0, ready: 0, ended: 0, marked: 0 }

export class WorkloadTally {
  readonly #byRevision = new Map<bigint, Counts>()
  /** On record, whatever their state. */
  total = 0
  live = 0
  /** Live and ready, of any revision. */
  ready = 0
  /** Being stopped, by an agent that is there. */
  stopping = 0
  /** Lost or to be replaced: another may have to stand in for it, or does. */
  replaceable = 0

  of(revision: bigint): RevisionTally {
    return this.#byRevision.get(revision) ?? none
  }

  /** Those that have live ones. */
  get revisions(): Iterable<readonly [bigint, RevisionTally]> {
    return this.#byRevision
  }

  add(replica: ReplicaRecord): void {
    this.#count(replica, 1)
  }

  /** One that was added, as it was then. */
  remove(replica: ReplicaRecord): void {
    this.#count(replica, -1)
  }

  #count({ status, stopping, replaceWanted }: ReplicaRecord, by: 1 | -1): void {
    const { state, revision, nodeId, ready } = status!
    const isLost = state === ReplicaState.LOST
    this.total += by
    if (isLost || replaceWanted) this.replaceable += by
    if (isLost) return
    if (stopping) {
      this.stopping += by
      return
    }
    this.live += by
    if (ready) this.ready += by
    let counts = this.#byRevision.get(revision)
    if (!counts) this.#byRevision.set(revision, (counts = { ...none }))
    counts.live += by
    if (nodeId !== '') counts.placed += by
    if (state === ReplicaState.FAILED) counts.failed += by
    if (ready) counts.ready += by
    if (state === ReplicaState.STOPPED) counts.ended += by
    if (replaceWanted) counts.marked += by
    if (counts.live === 0) this.#byRevision.delete(revision)
  }
}

export function tallyOf(replicas: Iterable<ReplicaRecord>): WorkloadTally {
  const tally = new WorkloadTally()
  for (const replica of replicas) tally.add(replica)
  return tally
}

/** The tallies of all workloads that have replicas. */
export class WorkloadTallies {
  readonly #byWorkload = new Map<string, WorkloadTally>()

  of(workloadId: string): WorkloadTally {
    return this.#byWorkload.get(workloadId) ?? new WorkloadTally()
  }

  apply({ before, after }: Pick<RecordChange<'replica'>, 'before' | 'after'>): void {
    const { workloadId } = (after ?? before)!.status!
    let tally = this.#byWorkload.get(workloadId)
    if (!tally) this.#byWorkload.set(workloadId, (tally = new WorkloadTally()))
    if (before) tally.remove(before)
    if (after) tally.add(after)
    if (tally.total === 0) this.#byWorkload.delete(workloadId)
  }
}
