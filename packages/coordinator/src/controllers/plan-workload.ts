/**
 * Decides what to change so that a workload has the replicas its spec asks for.
 *
 * Pure: the same records give the same plan, so it may be computed twice, late or after a crash without harm.
 *
 * Vocabulary: a replica is *live* when it is neither being stopped nor lost; *current* when it is live, of the
 * workload's revision and not marked for replacement; *outdated* when it is live and not current. The *floor* is the
 * number of ready replicas our own actions never go below.
 *
 * Invariants
 *   1. Stopping what the plan names never takes the ready replicas below the floor, unless the workload is being
 *      deleted, scaled down to fewer, or its strategy is RECREATE.
 *   2. No more than `replicas + surge` are live by our own making; the surge of BLUE_GREEN is all replicas once more.
 *   3. With nothing left to change the plan is empty: planning again is harmless.
 */
import {
  ReplicaState,
  RolloutStrategyKind,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import type { WorkloadTally } from './workload-tally.ts'

export interface WorkloadPlan {
  /** Replicas to make; `replaces` names the one each stands in for, empty when it is additional. */
  readonly create: readonly { readonly replaces: string }[]
  /**
   * Replicas whose container is to be stopped, or, if it is being stopped, with less grace; they stay on record until
   * their agent says they are gone.
   */
  readonly stop: readonly { readonly replica: ReplicaRecord; readonly reason: StopReason }[]
  /** Records to delete at once: what never ran, or what cannot be reached any more. */
  readonly forget: readonly ReplicaRecord[]
  /** The workload's own record can go: it is deleted and nothing of it is left. */
  readonly finished: boolean
  /** Plan again at this time, unix milliseconds; 0: only when something changes. */
  readonly wakeAtMs: number
}

export type StopReason = 'deleted' | 'scaled' | 'updated' | 'replaced'

/** Of a spec that says nothing. */
const graceMsDefault = 30_000n

const additional = { replaces: '' }
const nothing: WorkloadPlan = { create: [], stop: [], forget: [], finished: false, wakeAtMs: 0 }

/** `replicas` are all on record of the workload, in any order. */
export function planWorkload(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): WorkloadPlan {
  if (workload.deletedAtMs > 0n) return planDeletion(replicas, workload.deleteGraceMs)
  const wanted = workload.workload!.spec!.replicas
  const live = replicas.filter((r) => !r.stopping && !isLost(r)).sort(byUsefulness)
  const current = live.filter((r) => isCurrent(r, workload))
  const outdated = live.filter((r) => !isCurrent(r, workload))
  const strategy = workload.workload!.spec!.rollout?.strategy
  if (strategy === RolloutStrategyKind.RECREATE) {
    // The old ones end before the first new one begins.
    const leaving = replicas.some((r) => r.stopping && !isCurrent(r, workload) && !isLost(r))
    if (outdated.length > 0 || leaving) return retire(outdated, 'updated')
  }
  if (outdated.length === 0) return planScale(replicas, current, wanted)
  switch (strategy) {
    case RolloutStrategyKind.BLUE_GREEN:
      return planBlueGreen(workload, replicas, current, outdated)
    default:
      return planRolling(workload, replicas, current, outdated, nowMs)
  }
}

/**
 * The same plan where the numbers alone tell it: nothing to do, or nothing but new replicas to make. Undefined: the
 * replicas themselves must be looked at.
 */
export function planFromTally(
  { workload, deletedAtMs }: WorkloadRecord,
  tally: WorkloadTally,
): WorkloadPlan | undefined {
  const { revision, spec } = workload!
  const { live, marked } = tally.of(revision)
  const missing = spec!.replicas - live
  if (deletedAtMs > 0n || marked > 0 || tally.live > live || missing < 0) return undefined
  if (missing === 0) return nothing
  // One that is lost wants its successor to know of it; RECREATE waits for the old ones to end.
  const isRecreate = spec!.rollout?.strategy === RolloutStrategyKind.RECREATE
  if (tally.replaceable > 0 || (isRecreate && tally.stopping > 0)) return undefined
  return { ...nothing, create: Array.from({ length: missing }, () => additional) }
}

/** The ready replicas our own actions leave at least: what the spec says, otherwise all but max_unavailable, or but one. */
export function minAvailableOf(workload: WorkloadRecord): number {
  const { replicas, rollout } = workload.workload!.spec!
  const byDefault =
    rollout && rollout.maxUnavailable > 0
      ? replicas - rollout.maxUnavailable
      : Math.max(1, replicas - 1)
  return Math.min(Math.max(0, rollout?.minAvailable ?? byDefault), replicas)
}

export function isLost(replica: ReplicaRecord): boolean {
  return replica.status!.state === ReplicaState.LOST
}

function isCurrent(replica: ReplicaRecord, workload: WorkloadRecord): boolean {
  return replica.status!.revision === workload.workload!.revision && !replica.replaceWanted
}

function isReady(replica: ReplicaRecord): boolean {
  return replica.status!.ready
}

function isPlaced(replica: ReplicaRecord): boolean {
  return replica.status!.nodeId !== ''
}

/** Nothing could take it the last time it was tried. */
function isStuck(replica: ReplicaRecord): boolean {
  return !isPlaced(replica) && replica.status!.pendingReasons.length > 0
}

/** What is being stopped already is stopped anew when it is now to have less time. */
function planDeletion(
  replicas: readonly ReplicaRecord[],
  graceMs: bigint | undefined,
): WorkloadPlan {
  const forget = replicas.filter((r) => !isPlaced(r) || isLost(r))
  const running = replicas.filter((r) => isPlaced(r) && !isLost(r))
  return {
    ...nothing,
    forget,
    stop: running
      .filter((r) => !r.stopping || (graceMs !== undefined && graceMs < graceMsOf(r)))
      .map((replica) => ({ replica, reason: 'deleted' })),
    finished: running.length === 0,
  }
}

/** What its agent was told, or takes from the spec. */
function graceMsOf(replica: ReplicaRecord): bigint {
  return replica.stopGraceMs ?? replica.spec!.terminationGraceMs ?? graceMsDefault
}

function planScale(
  replicas: readonly ReplicaRecord[],
  current: readonly ReplicaRecord[],
  wanted: number,
): WorkloadPlan {
  if (current.length < wanted) {
    return { ...nothing, create: successors(replicas, wanted - current.length) }
  }
  return retire(current.slice(wanted), 'scaled')
}

function planBlueGreen(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  current: readonly ReplicaRecord[],
  outdated: readonly ReplicaRecord[],
): WorkloadPlan {
  const wanted = workload.workload!.spec!.replicas
  if (current.filter(isReady).length >= wanted) return retire(outdated, 'updated')
  // What serves is kept until the switch; attempts that failed before this one must not pile up.
  const serving = outdated.filter(isReady).slice(0, wanted)
  const create = successors(replicas, Math.max(0, wanted - current.length))
  return {
    ...retire(
      outdated.filter((r) => !serving.includes(r)),
      'updated',
    ),
    create,
  }
}

function planRolling(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  current: readonly ReplicaRecord[],
  outdated: readonly ReplicaRecord[],
  nowMs: number,
): WorkloadPlan {
  const { replicas: wanted, rollout } = workload.workload!.spec!
  const maxUnavailable = rollout?.maxUnavailable ?? 0
  const maxSurge = rollout && (rollout.maxSurge > 0 || maxUnavailable > 0) ? rollout.maxSurge : 1
  const live = current.length + outdated.length
  const stuck = current.some(isStuck)
  // When the surge has no room, giving up an old one makes room: down to what the user allows.
  const floor = stuck
    ? minAvailableOf(workload)
    : Math.max(minAvailableOf(workload), wanted - maxUnavailable)

  const room = wanted + maxSurge - live
  const create = Math.max(0, Math.min(wanted - current.length, room))
  const ready = [...current, ...outdated].filter(isReady).length
  const idle = outdated.filter((r) => !isReady(r))
  const spare = Math.max(0, ready - floor)

  const resumeAtMs = pausedUntilMs(current, Number(rollout?.pauseDurationMs ?? 0n))
  const paused = resumeAtMs > nowMs
  const busy = spare > 0 && !paused ? outdated.filter(isReady).slice(-spare) : []
  const retiring = retire([...idle, ...busy], 'updated')
  const surplus = retire(current.slice(wanted), 'scaled')
  return {
    ...nothing,
    create: paused ? [] : successors(replicas, create),
    stop: [...retiring.stop, ...surplus.stop],
    forget: [...retiring.forget, ...surplus.forget],
    wakeAtMs: paused ? resumeAtMs : 0,
  }
}

/** The next step of an update waits this long after the newest replica became ready. */
function pausedUntilMs(current: readonly ReplicaRecord[], pauseMs: number): number {
  if (pauseMs <= 0) return 0
  const newestReadyMs = Math.max(0, ...current.map((r) => Number(r.status!.readyAtMs)))
  return newestReadyMs === 0 ? 0 : newestReadyMs + pauseMs
}

/** New replicas, each standing in for one that is lost or to be replaced, as long as there are such. */
function successors(replicas: readonly ReplicaRecord[], count: number): { replaces: string }[] {
  const succeeded = new Set(replicas.map((r) => r.status!.replaces))
  const orphans = replicas.filter(
    (r) => (isLost(r) || r.replaceWanted) && !succeeded.has(r.status!.id),
  )
  return Array.from({ length: count }, (_, n) => ({
    replaces: orphans[n]?.status!.id ?? '',
  }))
}

function retire(replicas: readonly ReplicaRecord[], reason: StopReason): WorkloadPlan {
  return {
    ...nothing,
    forget: replicas.filter((r) => !isPlaced(r)),
    stop: replicas
      .filter(isPlaced)
      .map((replica) => ({ replica, reason: replica.replaceWanted ? 'replaced' : reason })),
  }
}

/** Most useful first: ready, then placed, then the oldest; ids break ties so that every plan is the same. */
function byUsefulness(a: ReplicaRecord, b: ReplicaRecord): number {
  return (
    Number(isReady(b)) - Number(isReady(a)) ||
    Number(isPlaced(b)) - Number(isPlaced(a)) ||
    Number(a.status!.createdAtMs - b.status!.createdAtMs) ||
    (a.status!.id < b.status!.id ? -1 : 1)
  )
}
