/**
 * Whether a workload's replicas may be moved to balance nodes now, and which of those that are on the move had better stay.
 * Pure: what is worth moving where is a matter of rebalance-worth.ts.
 *
 * A replica on the move is marked for replacement: its workload's controller makes another, which the scheduler places
 * where it is clearly better off, and stops the first one when enough are ready.
 */
import {
  RolloutPhase,
  RolloutStrategyKind,
  isService,
  rebalanceIntervalMsDefault,
  rebalanceMovingDefault,
  type ReplicaRecord,
  type RolloutStrategy,
  type WorkloadRecord,
} from '@cloudless/api'
import { isLost } from './plan-workload.ts'

/** The word in a replica's record for why it is to be replaced. */
export const rebalancedReason = 'rebalanced'
/** A replacement that is not ready by then is given up: what runs stays where it is. */
export const movingMsMax = 600_000

export type RebalancePlan =
  /** These stay after all. */
  | { readonly kind: 'take-back'; readonly replicas: readonly ReplicaRecord[] }
  /** So many may be moved, of these. */
  | {
      readonly kind: 'move'
      readonly count: number
      readonly candidates: readonly ReplicaRecord[]
    }
  /** Nothing now; look again at this time, unix milliseconds, or, when it is 0, when something changes. */
  | { readonly kind: 'rest'; readonly wakeAtMs: number }

/** `isCalm`: no node is being emptied, and none was lost lately. */
export function planRebalance(
  workload: WorkloadRecord | undefined,
  replicas: readonly ReplicaRecord[],
  { nowMs, isCalm }: { readonly nowMs: number; readonly isCalm: boolean },
): RebalancePlan {
  const moving = replicas.filter(isMoving)
  const startedAtMs = Number(workload?.lastRebalancedAtMs ?? 0n)
  const isAllowed = workload !== undefined && allowsMoves(workload)
  const isOver = nowMs >= startedAtMs + movingMsMax
  const staying = moving.filter((replica) => {
    const successor = successorOf(replica, replicas)
    if (successor?.status!.ready) return false
    const isPlaced = successor !== undefined && successor.status!.nodeId !== ''
    return !isAllowed || isOver || (!isPlaced && !isCalm) || isRefused(successor)
  })
  if (staying.length > 0) return { kind: 'take-back', replicas: staying }
  const restUntil = (wakeAtMs: number): RebalancePlan => ({ kind: 'rest', wakeAtMs })
  if (!isAllowed) return restUntil(0)
  // What hangs is looked at when its time is over.
  const overAtMs = moving.length > 0 ? startedAtMs + movingMsMax : 0
  const { maxMoving, intervalMs } = workload.workload!.spec!.rebalance!
  const count = (maxMoving || rebalanceMovingDefault) - moving.length
  if (!isCalm || count <= 0 || !isSettled(workload, replicas)) return restUntil(overAtMs)
  const dueAtMs = startedAtMs + (Number(intervalMs) || rebalanceIntervalMsDefault)
  if (nowMs < dueAtMs) return restUntil(dueAtMs)
  return { kind: 'move', count, candidates: replicas.filter(isStaying) }
}

/** It opted in, its replicas count as equal, and another can be ready before one stops. */
export function allowsMoves({ workload, deletedAtMs }: WorkloadRecord): boolean {
  const spec = workload!.spec!
  const { rebalance, rollout } = spec
  if (deletedAtMs > 0n || !isService(spec) || rebalance?.enabled !== true) return false
  return !stopsFirst(rollout)
}

/**
 * What stops first is down meanwhile, which no balance is worth; and where the next one goes is then looked for without
 * the one it follows, so that it might go to and fro for ever.
 */
function stopsFirst(rollout: RolloutStrategy | undefined): boolean {
  if (rollout?.strategy === RolloutStrategyKind.RECREATE) return true
  return rollout?.maxSurge === 0 && rollout.maxUnavailable > 0
}

export function isMoving({ replaceWanted, replaceReason, stopping }: ReplicaRecord): boolean {
  return replaceWanted && replaceReason === rebalancedReason && !stopping
}

/** Neither on its way out nor on the move. */
export function isStaying(replica: ReplicaRecord): boolean {
  return !replica.stopping && !isLost(replica) && !replica.replaceWanted
}

/** All that are wanted are there and ready, but for those that take over from others on the move. */
function isSettled(
  { workload, rollout }: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
): boolean {
  const phase = rollout?.phase ?? RolloutPhase.UNSPECIFIED
  const isRolling = phase !== RolloutPhase.UNSPECIFIED && phase !== RolloutPhase.COMPLETED
  const isLeaving = (r: ReplicaRecord): boolean => r.replaceWanted && !r.stopping && !isMoving(r)
  if (isRolling || replicas.some((r) => isLost(r) || isLeaving(r))) return false
  const staying = replicas.filter(isStaying)
  const movingIds = new Set(replicas.filter(isMoving).map((r) => r.status!.id))
  return (
    staying.length === workload!.spec!.replicas &&
    staying.every(({ status }) => {
      const { revision, ready, nodeId, replaces } = status!
      const isFine = ready || (nodeId !== '' && movingIds.has(replaces))
      return isFine && revision === workload!.revision
    })
  )
}

function isRefused(successor: ReplicaRecord | undefined): boolean {
  if (successor === undefined) return false
  const { nodeId, pendingReasons } = successor.status!
  return nodeId === '' && pendingReasons.length > 0
}

function successorOf(
  { status }: ReplicaRecord,
  replicas: readonly ReplicaRecord[],
): ReplicaRecord | undefined {
  return replicas.find((r) => r.status!.replaces === status!.id && !r.stopping && !isLost(r))
}
