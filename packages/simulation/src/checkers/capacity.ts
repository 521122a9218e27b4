/** Invariant 1: a node is never given more than it has. */
import { NodePhase, WorkloadType, type ReplicaRecord } from '@cloudless/api'
import { wordOf } from '../words.ts'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { Checker, CheckerDeps, Picture } from './checker.ts'

/** An attempt of a job that has ended is kept on record, and takes nothing. */
function isOver({ spec, status }: ReplicaRecord): boolean {
  return spec!.type === WorkloadType.JOB && status!.finishedAtMs > 0n
}

export function capacityChecker({ fail }: CheckerDeps): Checker {
  function check(nodeId: string, picture: Picture): void {
    const node = picture.get('node', nodeId)?.node
    if (node === undefined) return
    let cpuMillicores = 0
    let memoryBytes = 0n
    for (const { record } of picture.replicasOnNode(nodeId)) {
      if (isOver(record)) continue
      cpuMillicores += record.status!.resources?.cpuMillicores ?? 0
      memoryBytes += record.status!.resources?.memoryBytes ?? 0n
    }
    const has = node.allocatable!
    const where = `node ${node.name} (${wordOf(NodePhase, node.status!.phase)})`
    if (cpuMillicores > has.cpuMillicores) {
      fail(`${where} has ${has.cpuMillicores} millicores and was given ${cpuMillicores}`)
    }
    if (memoryBytes > has.memoryBytes) {
      fail(`${where} has ${has.memoryBytes} bytes of memory and was given ${memoryBytes}`)
    }
  }
  return {
    name: 'capacity',
    onChanges(changes, picture) {
      const nodeIds = new Set<string>()
      for (const change of changes) {
        if (change.kind === 'node') nodeIds.add(change.id)
        if (change.kind !== 'replica') continue
        const { before, after } = change as RecordChange<'replica'>
        // Only what is put somewhere can be too much.
        const nodeId = after?.status!.nodeId
        if (nodeId && nodeId !== before?.status!.nodeId) nodeIds.add(nodeId)
      }
      for (const nodeId of nodeIds) check(nodeId, picture)
    },
  }
}
