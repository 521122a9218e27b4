/**
 * Which replicas must leave a node that is being drained or is tainted NoExecute. Pure.
 *
 * A drain asks for replacements, and its workloads' controllers stop a replica when enough others are ready. One that is
 * forced waits for that only until its deadline; one that is not graceful does not wait. Daemons belong to their node: a
 * drain leaves them.
 */
import { ReplicaState, type NodeRecord, type ReplicaRecord } from '@cloudless/api'
import { tolerates } from '@cloudless/scheduler'
import { isDaemon, isOver } from './job-attempts.ts'
import { taintOf, tolerationOf } from './taints.ts'

export interface Eviction {
  readonly replica: ReplicaRecord
  /** Replaced before it stops, stopped at once, or, after all, kept. */
  readonly kind: 'replace' | 'stop' | 'keep'
  readonly reason: EvictionReason
}

export type EvictionReason = 'drained' | 'tainted'

export function planEvictions(
  node: NodeRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): readonly Eviction[] {
  const evictions: Eviction[] = []
  for (const replica of replicas) {
    if (replica.stopping || replica.status!.state === ReplicaState.LOST) continue
    if (isOver(replica)) continue
    const reason = reasonToLeave(node, replica)
    if (reason !== undefined) {
      const graceful = reason === 'tainted' || waitsForReplacements(node, nowMs)
      if (graceful && replica.replaceWanted) continue
      evictions.push({ replica, kind: graceful ? 'replace' : 'stop', reason })
    } else if (isEvictionReason(replica.replaceReason)) {
      evictions.push({ replica, kind: 'keep', reason: replica.replaceReason })
    }
  }
  return evictions
}

/** Daemons belong to their node, and what is over is only history. */
export function leavesWithDrain(replica: ReplicaRecord): boolean {
  return !isDaemon(replica) && !isOver(replica)
}

function waitsForReplacements(node: NodeRecord, nowMs: number): boolean {
  return node.drainGraceful && !(node.drainForce && nowMs >= Number(node.drainDeadlineMs))
}

function reasonToLeave(node: NodeRecord, replica: ReplicaRecord): EvictionReason | undefined {
  if (node.drainStartedAtMs > 0n && leavesWithDrain(replica)) return 'drained'
  const evicting = node.node!.taints.filter((taint) => taint.effect === 'NoExecute')
  const tolerations = (replica.spec?.placement?.tolerations ?? []).map(tolerationOf)
  return evicting.every((taint) => tolerates(tolerations, taintOf(taint))) ? undefined : 'tainted'
}

function isEvictionReason(reason: string): reason is EvictionReason {
  return reason === 'drained' || reason === 'tainted'
}
