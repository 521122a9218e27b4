/**
 * Decides what a daemon needs on one node, and which nodes are next in an update. Pure.
 *
 * Invariants
 *   1. No node has two of a daemon: the next is made only when nothing of the one before is left there. So an update takes
 *      a node's daemon away for a moment, and never adds one.
 *   2. Updating never takes more than `max_unavailable` nodes, and never goes below `min_available` ready ones.
 *   3. What is lost with its node is waited for: nothing takes its place, there or elsewhere.
 */
import { type ReplicaRecord, type RolloutStrategy } from '@cloudless/api'
import { isLive, isPlaced } from './replica-facts.ts'
import type { StopReason } from './workload-plan.ts'

/**
 * `wanted`: it is to have one. `tolerated`: it keeps what it has, as long as that lasts; nothing is made. `unwanted`: what
 * is there has to go. `away`: it is lost, and with it what it has. `gone`: it is no member.
 */
export type Fit = 'wanted' | 'tolerated' | 'unwanted' | 'away' | 'gone'

export interface NodePlan {
  readonly create: boolean
  readonly stop: readonly { readonly replica: ReplicaRecord; readonly reason: StopReason }[]
  readonly forget: readonly ReplicaRecord[]
}

/** What a node has of a daemon, at a glance. */
export interface NodeTally {
  /** It counts among the nodes that are to have one. */
  readonly isCounted: boolean
  readonly isReady: boolean
  /** What it has is to be replaced by one of the revision. */
  readonly outdated: ReplicaRecord | undefined
}

const nothingToDo: NodePlan = { create: false, stop: [], forget: [] }

/** `replicas` are all of the daemon that are bound to the node. */
export function planNode(fit: Fit, replicas: readonly ReplicaRecord[]): NodePlan {
  const live = liveOf(replicas)
  switch (fit) {
    case 'wanted': {
      if (replicas.length === 0) return { ...nothingToDo, create: true }
      return retired(live.slice(1), 'scaled')
    }
    case 'unwanted':
      return retired(live, 'unwanted')
    case 'away':
    case 'gone':
      // What never got there need not wait for it.
      return { ...nothingToDo, forget: live.filter((replica) => !isPlaced(replica)) }
    case 'tolerated':
      return nothingToDo
  }
}

export function tallyOf(fit: Fit, replicas: readonly ReplicaRecord[], revision: bigint): NodeTally {
  const [live] = liveOf(replicas)
  const isThere = fit === 'wanted' || fit === 'tolerated'
  const isOutdated = live && (live.status!.revision !== revision || live.replaceWanted)
  return {
    isCounted: fit === 'wanted' || (fit === 'tolerated' && live !== undefined),
    isReady: isThere && live?.status!.ready === true,
    outdated: isThere && isOutdated ? live : undefined,
  }
}

/** The outdated ones that may be stopped now: those that do not serve at once, of the others as many as may be missing. */
export function planUpdate(
  rollout: RolloutStrategy | undefined,
  nodes: { readonly counted: number; readonly ready: number },
  outdated: Iterable<ReplicaRecord>,
): readonly ReplicaRecord[] {
  const maxUnavailable = rollout?.maxUnavailable || 1
  const unavailable = nodes.counted - nodes.ready
  const mayBeMissing = maxUnavailable - unavailable
  const toSpare = nodes.ready - (rollout?.minAvailable ?? 0)
  let left = Math.min(mayBeMissing, toSpare)
  const next: ReplicaRecord[] = []
  for (const replica of outdated) {
    if (replica.status!.ready && left-- <= 0) continue
    next.push(replica)
    if (next.length >= stoppedAtOnceMax) break
  }
  return next
}

/** Looked at again at once for more. */
export const stoppedAtOnceMax = 256

function retired(replicas: readonly ReplicaRecord[], reason: StopReason): NodePlan {
  return {
    create: false,
    stop: replicas.filter(isPlaced).map((replica) => ({ replica, reason })),
    forget: replicas.filter((replica) => !isPlaced(replica)),
  }
}

/** The most useful first. */
function liveOf(replicas: readonly ReplicaRecord[]): readonly ReplicaRecord[] {
  const live = replicas.filter(isLive)
  if (live.length < 2) return live
  return live.sort(
    (a, b) =>
      Number(b.status!.ready) - Number(a.status!.ready) ||
      Number(isPlaced(b)) - Number(isPlaced(a)) ||
      Number(b.status!.revision - a.status!.revision) ||
      (a.status!.id < b.status!.id ? -1 : 1),
  )
}
