/** Which replica a rollout waits for, and why it is not ready: for people. Pure. */
import { ReplicaState, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import { counted, formatDurationMs } from '@cloudless/base'
import { enumName } from '../state/enum-names.ts'
import { isLive, isReady, isStuck } from './replica-facts.ts'

export function hangingReplica(
  { workload }: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): string {
  const { revision } = workload!
  const fresh = replicas.filter((r) => isLive(r) && r.status!.revision === revision)
  const hanging = fresh.filter((r) => !isReady(r)).sort(byEloquence)
  const [first] = hanging
  if (first === undefined) {
    const old = replicas.filter((r) => isLive(r) && r.status!.revision !== revision)
    if (old.length === 0) return `no replica of revision ${revision} could be made`
    return `${counted(old.length, 'replica')} of earlier revisions cannot be spared yet`
  }
  const others = hanging.length > 1 ? ` (and ${hanging.length - 1} more)` : ''
  return `${first.status!.id}${others} is not ready ${why(first, nowMs)}`
}

function why({ status }: ReplicaRecord, nowMs: number): string {
  const { nodeName, nodeId, reason, message, createdAtMs, state, pendingReasons } = status!
  const sinceMs = Math.max(0, nowMs - Number(createdAtMs))
  const after = `after ${formatDurationMs(sinceMs)}`
  if (nodeId === '') {
    const reasons = pendingReasons.map((one) => `${one.nodeCount} ${one.reason}`).join(', ')
    return `${after}: it has no place${reasons && ` (${reasons})`}`
  }
  const where = `on node ${nodeName || nodeId}`
  const said = [reason, message].filter((text) => text !== '').join(': ')
  return `${where} ${after}: ${said || enumName(ReplicaState, state)}`
}

/** Those that say most first: one without a place, then one with a message, then the oldest. */
function byEloquence(a: ReplicaRecord, b: ReplicaRecord): number {
  return (
    Number(isStuck(b)) - Number(isStuck(a)) ||
    Number(b.status!.message !== '') - Number(a.status!.message !== '') ||
    Number(a.status!.createdAtMs - b.status!.createdAtMs) ||
    (a.status!.id < b.status!.id ? -1 : 1)
  )
}
