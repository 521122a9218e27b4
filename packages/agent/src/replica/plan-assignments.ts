/** What an update from the coordinator changes here. Pure. */
import { sameTemplate, type Assignment, type AssignmentUpdate } from '@cloudless/api'

export interface KnownReplica {
  readonly assignment: Assignment
  readonly adHoc: boolean
}

export interface PlannedStop {
  readonly replicaId: string
  /** Undefined: the spec's. */
  readonly graceMs: number | undefined
  /** How long it goes on serving before it is stopped; 0 when not given. */
  readonly delayMs?: number
  readonly reason: string
}

export interface AssignmentPlan {
  readonly create: readonly Assignment[]
  /** Known, with another spec. */
  readonly replace: readonly Assignment[]
  /** Known and to go on as they are; to be begun if nothing was done yet. */
  readonly keep: readonly string[]
  readonly stop: readonly PlannedStop[]
  /** Not known, and to be stopped: answered as gone. */
  readonly gone: readonly string[]
}

/** A replica run by hand is never in a plan. A later mention of an id wins over an earlier one. */
export function planAssignments(
  known: ReadonlyMap<string, KnownReplica>,
  update: AssignmentUpdate,
): AssignmentPlan {
  const create: Assignment[] = []
  const replace: Assignment[] = []
  const keep: string[] = []
  const stop: PlannedStop[] = []
  const gone: string[] = []
  const listed = new Map(update.upsert.map((assignment) => [assignment.replicaId, assignment]))
  const stopped = new Set(update.stop.map(({ replicaId }) => replicaId))
  for (const [replicaId, assignment] of listed) {
    const present = known.get(replicaId)
    if (stopped.has(replicaId) || present?.adHoc) continue
    if (present === undefined) create.push(assignment)
    else if (sameRun(present.assignment, assignment)) keep.push(replicaId)
    else replace.push(assignment)
  }
  for (const { replicaId, graceMs, delayMs, reason } of update.stop) {
    const present = known.get(replicaId)
    if (present?.adHoc) continue
    if (present === undefined) {
      gone.push(replicaId)
      continue
    }
    stop.push({
      replicaId,
      graceMs: graceMs === undefined ? undefined : Number(graceMs),
      ...(delayMs === undefined ? {} : { delayMs: Number(delayMs) }),
      reason,
    })
  }
  if (update.full) {
    for (const [replicaId, present] of known) {
      if (present.adHoc || listed.has(replicaId) || stopped.has(replicaId)) continue
      stop.push({ replicaId, graceMs: undefined, reason: 'unlisted' })
    }
  }
  return { create, replace, keep, stop, gone }
}

/** The container of the one does for the other: scaling and rollout settings may differ. */
function sameRun(one: Assignment, other: Assignment): boolean {
  if (one.spec === undefined || other.spec === undefined) return one.spec === other.spec
  return sameTemplate(one.spec, other.spec)
}
