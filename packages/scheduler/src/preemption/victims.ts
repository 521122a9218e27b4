/** From numbers of replicas to the replicas themselves. */
import type { PlacedReplica } from '../model.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import type { Way } from './room.ts'

/** So many of each group, the first by their ids; lowest priority first. */
export function victimsOf(
  table: ClusterTable,
  row: number,
  { groups }: Way,
  taken: readonly number[],
): PlacedReplica[] {
  const onNode = table.replicasOn(table.nodeAt(row)!.id)
  return groups.flatMap(({ occupants: { kind, holding } }, n) =>
    taken[n] === 0
      ? []
      : onNode
          .filter((replica) => replica.kind === kind && replica.holding === holding)
          .sort((a, b) => (a.id < b.id ? -1 : 1))
          .slice(0, taken[n]),
  )
}
