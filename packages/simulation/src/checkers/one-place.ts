/**
 * Invariant 2: a replica runs on at most one node, and one that was given up cannot come back.
 *
 * By the records: a replica that was given to a node stays that node's; a stop is final; an id that is gone is not used
 * again; one that was lost and returns is not kept beside the one that stands in for it. By the machines: never are there
 * two containers of one replica.
 */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { Checker, CheckerDeps, Picture } from './checker.ts'

export function onePlaceChecker({ fail }: CheckerDeps): Checker {
  const gone = new Set<string>()
  const running = new Map<string, Set<string>>()

  /** It was lost and is not any more: one of the two must go, unless another place is to be filled anyway. */
  function checkReturn(original: ReplicaRecord, picture: Picture): void {
    const { id, workloadId } = original.status!
    if (!isKept(original)) return
    const kept = picture.replicasOfWorkload(workloadId).filter(({ record }) => isKept(record))
    const alike = kept.filter(({ record }) => record.status!.revision === original.status!.revision)
    const wanted = picture.get('workload', workloadId)?.workload!.spec!.replicas ?? 0
    if (alike.length <= wanted) return
    for (const { record: rival } of alike) {
      const { replaces, nodeId } = rival.status!
      if (replaces === id && nodeId !== '')
        fail(`${id} was lost and is back, and ${rival.status!.id} stays in its place as well`)
    }
  }

  function follow({ id, before, after }: RecordChange<'replica'>, picture: Picture): void {
    if (after === undefined) {
      gone.add(id)
      return
    }
    if (before === undefined) {
      if (gone.has(id)) fail(`the id ${id} is used a second time`)
      return
    }
    const { nodeId, ready } = after.status!
    const formerly = before.status!.nodeId
    if (formerly !== '' && nodeId !== formerly) fail(`${id} moved from ${formerly} to "${nodeId}"`)
    if (before.stopping && !after.stopping) fail(`${id} was being stopped and is wanted again`)
    if (isLost(after) && ready) fail(`${id} is lost and counts as ready`)
    if (isLost(before) && !isLost(after)) checkReturn(after, picture)
  }

  return {
    name: 'one place',
    onChanges(changes, picture) {
      for (const change of changes) {
        if (change.kind === 'replica') follow(change as RecordChange<'replica'>, picture)
      }
    },
    onContainer(nodeId, replicaId, isRunning) {
      const places = running.get(replicaId) ?? new Set()
      if (isRunning) places.add(nodeId)
      else places.delete(nodeId)
      if (places.size > 1) fail(`${replicaId} runs on ${[...places].join(' and ')}`)
      if (places.size === 0) running.delete(replicaId)
      else running.set(replicaId, places)
    },
  }
}

/** It is to go on. */
function isKept(replica: ReplicaRecord): boolean {
  return !replica.stopping && !replica.replaceWanted && !isLost(replica)
}

function isLost(replica: ReplicaRecord): boolean {
  return replica.status!.state === ReplicaState.LOST
}
