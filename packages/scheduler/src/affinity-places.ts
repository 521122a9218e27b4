/**
 * The places that hold what an affinity names: nodes with its labels, or replicas with them. Whether such a place is
 * wanted or shunned is the caller's matter.
 */
import { hasLabels, nodeHasLabels } from './labels.ts'
import type { Affinity, ReplicaKind } from './model.ts'
import { absentId, placeFacet } from './table/facet.ts'
import type { ClusterTable } from './table/cluster-table.ts'

export interface AffinityPlaces {
  /** Whether the node on this row is in one of the places. */
  readonly isAmong: (row: number) => boolean
  /**
   * Nothing in any place has the labels but the replica itself has: the first of a group that wants to be together may
   * go to any place. A node that is in none would not do: the others could not follow.
   */
  readonly mayBeFirstOn: (row: number) => boolean
}

export function affinityPlaces(
  affinity: Affinity,
  kind: ReplicaKind,
  table: ClusterTable,
): AffinityPlaces {
  return affinity.subject === 'node'
    ? placesOfNodes(affinity, table)
    : placesOfReplicas(affinity, kind, table)
}

function placesOfReplicas(
  { matchLabels, topologyKey }: Affinity,
  kind: ReplicaKind,
  table: ClusterTable,
): AffinityPlaces {
  const held = table.counts.countsOf({ matchLabels }, topologyKey)
  const { column } = held
  const isOwnKind = hasLabels(kind.labels, matchLabels)
  return {
    isAmong: (row) => (held.counts[column.ids[row]!] ?? 0) > 0,
    mayBeFirstOn: (row) => isOwnKind && held.total === 0 && column.ids[row] !== absentId,
  }
}

function placesOfNodes(
  { matchLabels, topologyKey }: Affinity,
  table: ClusterTable,
): AffinityPlaces {
  const column = table.column(placeFacet(topologyKey))
  const places = new Uint8Array(column.size)
  for (let row = 0; row < table.rowCount; row++) {
    const node = table.nodeAt(row)
    if (node !== undefined && nodeHasLabels(node, matchLabels)) places[column.ids[row]!] = 1
  }
  places[absentId] = 0
  return {
    isAmong: (row) => places[column.ids[row]!] === 1,
    mayBeFirstOn: () => false,
  }
}
