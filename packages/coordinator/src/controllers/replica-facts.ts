/** What plans ask of a replica's record. Pure. */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'

/** Its node was given up, and it with it. */
export function isLost(replica: ReplicaRecord): boolean {
  return replica.status!.state === ReplicaState.LOST
}

/** Neither being stopped nor lost. */
export function isLive(replica: ReplicaRecord): boolean {
  return !replica.stopping && !isLost(replica)
}

/** It is lost, and its node may bring it back before it is to be replaced: it counts as there, and not as ready. */
export function isAwaited(replica: ReplicaRecord, nowMs: number): boolean {
  const { replaceAtMs } = replica
  return isLost(replica) && (replaceAtMs < 0n || replaceAtMs > BigInt(nowMs))
}

export function isReady(replica: ReplicaRecord): boolean {
  return replica.status!.ready
}

export function isPlaced(replica: ReplicaRecord): boolean {
  return replica.status!.nodeId !== ''
}

/** Nothing could take it the last time it was tried. */
export function isStuck(replica: ReplicaRecord): boolean {
  return !isPlaced(replica) && replica.status!.pendingReasons.length > 0
}

/** When one that is ready has been so for long enough to count, unix milliseconds; 0: it need not. */
export function countsAtMs(replica: ReplicaRecord, minReadyMs: number): number {
  return minReadyMs === 0 ? 0 : Number(replica.status!.readyAtMs) + minReadyMs
}

/** Most useful first: ready, then placed, then the oldest; ids break ties so that every plan is the same. */
export function byUsefulness(a: ReplicaRecord, b: ReplicaRecord): number {
  return (
    Number(isReady(b)) - Number(isReady(a)) ||
    Number(isPlaced(b)) - Number(isPlaced(a)) ||
    Number(a.status!.createdAtMs - b.status!.createdAtMs) ||
    (a.status!.id < b.status!.id ? -1 : 1)
  )
}
