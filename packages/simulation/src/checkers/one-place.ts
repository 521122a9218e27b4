/**
 * Invariant 2: a replica runs on at most one node as far as the control plane can know. One that was lost comes back only
 * when its own node still has it; one that was fenced or is gone never does.
 *
 * By the records: a replica that was given to a node stays that node's; a stop is final; an id that is gone is not used
 * again; one that was lost returns only when its node does. By the machines: never are there two containers of one replica.
 */
import type { ReplicaRecord } from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { Checker, CheckerDeps } from './checker.ts'
import { isLost } from './replica-facts.ts'

export function onePlaceChecker({ fail }: CheckerDeps): Checker {
  const gone = new Set<string>()
  const running = new Map<string, Set<string>>()

  /** It was lost and is not any more: only the first words of its node's session, which are stored with it, bring it back. */
  function checkReturn({ status, stopping }: ReplicaRecord, told: ReadonlySet<string>): void {
    const { id, nodeId } = status!
    if (!stopping && !told.has(nodeId)) fail(`${id} was given up and is back, without its node`)
  }

  function follow({ id, before, after }: RecordChange<'replica'>, told: ReadonlySet<string>): void {
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
    if (isLost(before) && !isLost(after)) checkReturn(after, told)
  }

  return {
    name: 'one place',
    onChanges(changes) {
      const told = new Set(changes.filter(({ kind }) => kind === 'node').map(({ id }) => id))
      for (const change of changes) {
        if (change.kind === 'replica') follow(change as RecordChange<'replica'>, told)
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
