/**
 * A lost replica whose node vanished together with many others: it is replaced no sooner than its node is let go. Beside
 * what its workload's `on_disconnect` says, which may be later, or never. Pure.
 */
import type { ReplicaRecord } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { lostReplica } from './lost-replica.ts'
import { withStatus } from './replica-records.ts'

/** `heldUntilMs`: unix milliseconds; 0: it is not held. */
export function heldBack(lost: ReplicaRecord, heldUntilMs: bigint, nowMs: number): ReplicaRecord {
  const isLater = lost.replaceAtMs >= 0n && lost.replaceAtMs < heldUntilMs
  if (!isLater) return lost
  const inMs = formatDurationMs(Math.round((Number(heldUntilMs) - nowMs) / 1_000) * 1_000)
  const message =
    `its node vanished together with many others; ` +
    `it is replaced in ${inMs} at the latest, unless the node returns`
  return withStatus(lost, { message }, { replaceAtMs: heldUntilMs })
}

/** As its workload alone would have it; the same record where nothing else held it. */
export function letGo(lost: ReplicaRecord, heldUntilMs: bigint): ReplicaRecord {
  if (heldUntilMs === 0n || lost.replaceAtMs !== heldUntilMs) return lost
  return lostReplica(lost, lost.status!.nodeName, Number(lost.lostAtMs))
}
