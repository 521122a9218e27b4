/** What to do about a replica that finds no place, where its workload itself is in the way. Pure. */
import type { ReplicaRecord, WorkloadRecord } from '@cloudless/api'
import { isLost, minAvailableOf } from './plan-workload.ts'

/** `siblings` are all replicas of the workload. Undefined when the nodes' reasons say all there is to say. */
export function pendingAdvice(
  replica: ReplicaRecord,
  workload: WorkloadRecord,
  siblings: readonly ReplicaRecord[],
): string | undefined {
  const { name } = workload.workload!
  const { replaces, revision } = replica.status!
  const live = siblings.filter((r) => !r.stopping && !isLost(r))
  const predecessor = live.find((r) => r.status!.id === replaces && r.replaceWanted)
  if (predecessor) {
    const { id, nodeName } = predecessor.status!
    const stays = `${id} runs on ${nodeName} until another node can take this one`
    if (predecessor.replaceReason === 'drained' || predecessor.replaceReason === 'tainted') {
      return stays
    }
    return `${stays}; to leave it there: \`cloudlessctl workload restart ${name}\``
  }
  const ready = live.filter((r) => r.status!.ready)
  const isUpdate = ready.some((r) => r.status!.revision < revision)
  if (!isUpdate || ready.length > minAvailableOf(workload)) return undefined
  return (
    'the old replicas hold on to their room until this one is ready: set ' +
    'rollout.max_unavailable to 1 or rollout.strategy to RECREATE, or make room'
  )
}
