/** Which nodes a batch of changes gives up. Pure. */
import { NodePhase, type NodeRecord } from '@cloudless/api'
import type { RecordChange } from '../state/cluster-state.ts'

/** Ids of those that have just become OFFLINE. */
export function nodesGivenUp(changes: readonly RecordChange[]): string[] {
  return changes
    .filter(
      ({ kind, before, after }) =>
        kind === 'node' &&
        isOffline(after as NodeRecord | undefined) &&
        !isOffline(before as NodeRecord | undefined),
    )
    .map(({ id }) => id)
}

function isOffline(record: NodeRecord | undefined): boolean {
  return record?.node!.status!.phase === NodePhase.OFFLINE
}
