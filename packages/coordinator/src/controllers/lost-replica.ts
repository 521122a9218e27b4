/** A replica whose node was given up as lost: its record until the node returns, or is removed. Pure. */
import { ReplicaState, replaceAtMs, type ReplicaRecord } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { isDaemon } from './job-attempts.ts'
import { withStatus } from './replica-records.ts'

export function lostReplica(
  replica: ReplicaRecord,
  nodeName: string,
  nowMs: number,
): ReplicaRecord {
  // Nothing takes a daemon's place.
  const replaceAt = isDaemon(replica) ? -1n : replaceAtMs(replica.spec, nowMs)
  const follows = isDaemon(replica)
    ? 'it goes on there when that is back'
    : whatFollows(replaceAt, nowMs)
  return withStatus(
    replica,
    {
      state: ReplicaState.LOST,
      ready: false,
      reason: 'NodeLost',
      message: `node ${nodeName} was lost; ${follows}`,
    },
    { lostAtMs: BigInt(nowMs), replaceAtMs: replaceAt },
  )
}

function whatFollows(replaceAt: bigint, nowMs: number): string {
  if (replaceAt < 0n) return 'it is kept for the node to return'
  if (replaceAt === 0n) return 'a replacement takes over'
  return `it is replaced in ${formatDurationMs(Number(replaceAt) - nowMs)} unless the node returns`
}
