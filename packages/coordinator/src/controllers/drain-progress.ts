/** How far the drain of a node is, and in words why what is left is still there. Reads; changes nothing. */
import { ReplicaState, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import { counted } from '@cloudless/base'
import { describeRejections } from '@cloudless/scheduler'
import type { ClusterState } from '../state/cluster-state.ts'
import { isDaemon } from './job-attempts.ts'
import { leavesWithDrain } from './plan-evictions.ts'
import { isLost } from './plan-workload.ts'
import { rolloutOf } from './rollout-quota.ts'
import { isServing } from './serving.ts'
import { minimumOf } from './spare-replicas.ts'

type Known = Pick<ClusterState, 'get' | 'replicasOnNode' | 'replicasOfWorkload'>

/** What is explained of one node at a time. */
const explainedMax = 20

export interface DrainProgress {
  /** Replicas that are still to go; what was lost with the node is not waited for. */
  readonly left: number
  readonly daemons: number
}

export function drainProgress(replicas: readonly ReplicaRecord[]): DrainProgress {
  const daemons = replicas.filter(isDaemon).length
  return { left: leaving(replicas).length, daemons }
}

/** "web-x7: its replacement web-k2 is starting on attic", of the first that are left. */
export function whatDrainWaitsFor(state: Known, nodeId: string): string[] {
  const replicas = state.replicasOnNode(nodeId).map((held) => held.record)
  const siblings = new Map<string, readonly ReplicaRecord[]>()
  const siblingsOf = (workloadId: string): readonly ReplicaRecord[] => {
    const known = siblings.get(workloadId)
    if (known) return known
    const found = state.replicasOfWorkload(workloadId).map((held) => held.record)
    siblings.set(workloadId, found)
    return found
  }
  return leaving(replicas)
    .sort((a, b) => (a.status!.id < b.status!.id ? -1 : 1))
    .slice(0, explainedMax)
    .map((replica) => {
      const { id, workloadId } = replica.status!
      const workload = state.get('workload', workloadId)
      return `${id}: ${reasonToStay(replica, workload, siblingsOf(workloadId))}`
    })
}

/** Why a replica that is to leave its node is still there. Pure. */
export function reasonToStay(
  replica: ReplicaRecord,
  workload: WorkloadRecord | undefined,
  siblings: readonly ReplicaRecord[],
): string {
  if (replica.stopping) return 'is being stopped'
  if (workload === undefined) return 'its workload is gone: it is stopped next'
  const { id } = replica.status!
  const successor = siblings.find((r) => r.status!.replaces === id && !r.stopping && !isLost(r))
  if (successor && !successor.status!.ready) return whySuccessorIsNotReady(successor)
  const serving = siblings.filter((r) => isServing(r, rolloutOf(workload))).length
  const minimum = minimumOf(workload)
  const left = serving - Number(isServing(replica, rolloutOf(workload)))
  if (left < serving && left < minimum) {
    return `stopping it would leave ${left} of min_available ${minimum}${whyNoSurge(successor, workload)}`
  }
  if (successor) return `its replacement ${successor.status!.id} is ready: it is stopped next`
  return 'waits for its turn'
}

function whySuccessorIsNotReady({ status }: ReplicaRecord): string {
  const { id, nodeName, pendingReasons, reason, message } = status!
  if (status!.nodeId === '') {
    if (pendingReasons.length === 0) return `its replacement ${id} is given a place`
    const nodeCount = pendingReasons.reduce((sum, r) => sum + r.nodeCount, 0)
    const why = describeRejections(nodeCount, pendingReasons)
    return `its replacement ${id} waits for a place: ${why}`
  }
  const doing = status!.state === ReplicaState.RUNNING ? 'is not ready yet' : 'is starting'
  const why = message || reason
  return `its replacement ${id} ${doing} on ${nodeName}${why && `: ${why}`}`
}

/** A person may have left no way to go on; then it is said what would be one. */
function whyNoSurge(successor: ReplicaRecord | undefined, { workload }: WorkloadRecord): string {
  const { maxSurge, maxUnavailable } = workload!.spec!.rollout ?? {}
  if (successor !== undefined || maxSurge !== 0 || maxUnavailable === 0) return ''
  const { replicas } = workload!.spec!
  return `, and with max_surge 0 there are never more than ${counted(replicas, 'replica')}`
}

function leaving(replicas: readonly ReplicaRecord[]): ReplicaRecord[] {
  return replicas.filter((replica) => leavesWithDrain(replica) && !isLost(replica))
}
