/** What to do about a replica that finds no place, where its workload itself is in the way. Pure. */
import type { ReplicaRecord, WorkloadRecord } from '@cloudless/api'
import { isLost, minAvailableOf } from './plan-workload.ts'

/** What the replicas of one workload have in common to wait for; asked many times about many of them. */
export interface Siblings {
  /** By id. */
  readonly find: (id: string) => ReplicaRecord | undefined
  readonly ready: () => ReadyReplicas
}

/** Live ones. */
export interface ReadyReplicas {
  readonly count: number
  /** The oldest; undefined when there are none. */
  readonly revisionMin: bigint | undefined
}

/** Undefined when the nodes' reasons say all there is to say. */
export function pendingAdvice(
  replica: ReplicaRecord,
  workload: WorkloadRecord,
  siblings: Siblings,
): string | undefined {
  const { name } = workload.workload!
  const { replaces, revision } = replica.status!
  const predecessor = replaces === '' ? undefined : siblings.find(replaces)
  if (predecessor !== undefined && isLive(predecessor) && predecessor.replaceWanted) {
    const { id, nodeName } = predecessor.status!
    const stays = `${id} runs on ${nodeName} until another node can take this one`
    if (predecessor.replaceReason === 'drained' || predecessor.replaceReason === 'tainted') {
      return stays
    }
    return `${stays}; to leave it there: \`cloudlessctl workload restart ${name}\``
  }
  // Nothing is older than the first revision.
  if (revision <= 1n) return undefined
  const { count, revisionMin = revision } = siblings.ready()
  if (revisionMin >= revision || count > minAvailableOf(workload)) return undefined
  return (
    'the old replicas hold on to their room until this one is ready: set ' +
    'rollout.max_unavailable to 1 or rollout.strategy to RECREATE, or make room'
  )
}

export function readyReplicasOf(siblings: Iterable<ReplicaRecord>): ReadyReplicas {
  let count = 0
  let revisionMin: bigint | undefined
  for (const replica of siblings) {
    const { ready, revision } = replica.status!
    if (!ready || !isLive(replica)) continue
    count++
    if (revisionMin === undefined || revision < revisionMin) revisionMin = revision
  }
  return { count, revisionMin }
}

function isLive(replica: ReplicaRecord): boolean {
  return !replica.stopping && !isLost(replica)
}
