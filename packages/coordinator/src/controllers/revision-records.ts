/** The versions of a workload that are kept so that one can go back to them: written, ended and pruned. */
import { create } from '@bufbuild/protobuf'
import {
  RevisionRecordSchema,
  RolloutPhase,
  WorkloadRevisionSchema,
  type RevisionRecord,
  type Workload,
  type WorkloadRecord,
  type WorkloadRevision,
} from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  absent,
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Held,
} from '../state/cluster-state.ts'
import { rolloutOf } from './rollout-quota.ts'

export type RevisionCause = 'created' | 'updated' | 'restarted'

/** What goes into the transaction that changes the workload. */
export interface RevisionChanges {
  readonly preconditions: readonly Precondition[]
  readonly writes: readonly Write[]
}

type Revisions = Pick<ClusterState, 'held' | 'revisionsOfWorkload' | 'replicasOfWorkload'>

const historyLimitDefault = 10
const none: RevisionChanges = { preconditions: [], writes: [] }

export function revisionId(workloadId: string, revision: bigint): string {
  return `${workloadId}/${revision}`
}

/** Undefined when it is not remembered. */
export function findRevision(
  state: Pick<ClusterState, 'held'>,
  workloadId: string,
  revision: bigint,
): WorkloadRevision | undefined {
  return state.held('revision', revisionId(workloadId, revision))?.record.revision
}

/** Of a workload that is created: what is left of one that had its id is forgotten. */
export function firstRevision(state: Revisions, workload: Workload): RevisionChanges {
  const id = revisionId(workload.id, workload.revision)
  const record = revisionRecord(workload, 'created', '')
  const others = state.revisionsOfWorkload(workload.id).filter((held) => held.id !== id)
  return {
    preconditions: [],
    writes: [putRecord('revision', id, record), ...forgotten(others)],
  }
}

/** Of one that becomes `after` with a new revision: the one before is kept, and what is too old is not. */
export function nextRevision(
  state: Revisions,
  before: WorkloadRecord,
  after: WorkloadRecord,
  cause: RevisionCause,
): RevisionChanges {
  const workload = after.workload!
  if (workload.revision === before.workload!.revision) return none
  const id = revisionId(workload.id, workload.revision)
  const previous = leftBehind(state, before)
  const kept = new Set([workload.revision, before.workload!.revision])
  if (after.rollout) kept.add(after.rollout.fromRevision)
  return {
    preconditions: [absent('revision', id), ...previous.preconditions],
    writes: [
      putRecord('revision', id, revisionRecord(workload, cause, '')),
      ...previous.writes,
      ...forgotten(tooOld(state, after, kept)),
    ],
  }
}

/** The revision a workload leaves: how its rollout ended, if it did not end before. */
export function leftBehind(state: Revisions, before: WorkloadRecord): RevisionChanges {
  const workload = before.workload!
  const phase = rolloutOf(before)?.phase
  const isDone = phase === undefined || phase === RolloutPhase.COMPLETED
  const outcome = isDone ? 'completed' : 'superseded'
  const id = revisionId(workload.id, workload.revision)
  const held = state.held('revision', id)
  if (held === undefined) {
    // Earlier versions kept no history.
    const record = revisionRecord(
      workload,
      workload.revision === 1n ? 'created' : 'updated',
      outcome,
    )
    return { preconditions: [absent('revision', id)], writes: [putRecord('revision', id, record)] }
  }
  return held.record.revision!.outcome === '' ? ended(held, outcome) : none
}

/** Its rollout has ended; one that was completed once stays so. */
export function endRevision(
  state: Pick<ClusterState, 'held'>,
  workloadId: string,
  { revision, outcome }: { readonly revision: bigint; readonly outcome: string },
): RevisionChanges {
  const held = state.held('revision', revisionId(workloadId, revision))
  if (held === undefined) return none
  const known = held.record.revision!.outcome
  return known === outcome || known === 'completed' ? none : ended(held, outcome)
}

export function forgotten(revisions: readonly Held<RevisionRecord>[]): Write[] {
  return revisions.map(({ id }) => deleteRecord('revision', id))
}

function ended(held: Held<RevisionRecord>, outcome: string): RevisionChanges {
  const { record } = held
  const after = { ...record, revision: { ...record.revision!, outcome } }
  return {
    preconditions: [unchanged('revision', held)],
    writes: [putRecord('revision', held.id, after)],
  }
}

/** Beyond the limit, oldest first; what is `kept`, and what still runs, is not counted. */
function tooOld(
  state: Revisions,
  { workload }: WorkloadRecord,
  kept: ReadonlySet<bigint>,
): Held<RevisionRecord>[] {
  const limit = workload!.spec!.rollout?.historyLimit || historyLimitDefault
  // The current one is not counted, and what is being written is not there yet.
  const there = state.revisionsOfWorkload(workload!.id)
  const excess = there.length - limit
  if (excess <= 0) return []
  const running = new Set(
    state.replicasOfWorkload(workload!.id).map((r) => r.record.status!.revision),
  )
  const numberOf = ({ record }: Held<RevisionRecord>): bigint => record.revision!.revision
  return there
    .filter((held) => !kept.has(numberOf(held)) && !running.has(numberOf(held)))
    .sort((a, b) => (numberOf(a) < numberOf(b) ? -1 : 1))
    .slice(0, excess)
}

function revisionRecord(workload: Workload, cause: RevisionCause, outcome: string): RevisionRecord {
  const { id, revision, updatedAtMs, spec, labels } = workload
  return create(RevisionRecordSchema, {
    workloadId: id,
    revision: create(WorkloadRevisionSchema, {
      revision,
      createdAtMs: updatedAtMs,
      spec: spec!,
      cause,
      outcome,
      labels,
    }),
  })
}
