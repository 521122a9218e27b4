/**
 * No place gets more than `maxSkew` replicas above the place with the fewest.
 *
 * Only places with a node that could take the replica by what it is are compared: a zone that is down or tainted does
 * not hold up the others.
 */
import { FactVerdicts } from '../fact-verdicts.ts'
import { hasLabels } from '../labels.ts'
import type { ReplicaKind, TopologySpread } from '../model.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { absentId } from '../table/facet.ts'
import type { PlaceCounts } from '../table/replica-counts.ts'
import type { PlaceCheck, PlaceFilter } from './filter.ts'

export const topologySpreadFilter: PlaceFilter = {
  name: 'topology-spread',

  check(kind, table) {
    const spreads = kind.topologySpread.filter(({ required }) => required)
    if (spreads.length === 0) return undefined
    const facts = new FactVerdicts(kind, table)
    const checks = spreads.map((spread) => spreadCheck(spread, kind, table, facts))
    return {
      begin: () => checks.forEach((check) => check.begin?.()),
      reject(row) {
        for (const check of checks) {
          const reason = check.reject(row)
          if (reason !== undefined) return reason
        }
        return undefined
      },
    }
  },
}

/** Which replicas a spread counts. */
export function spreadCounts(
  { matchLabels, topologyKey }: TopologySpread,
  { workloadId }: ReplicaKind,
  table: ClusterTable,
): PlaceCounts {
  const counted = Object.keys(matchLabels).length === 0 ? { workloadId } : { matchLabels }
  return table.counts.countsOf(counted, topologyKey)
}

function spreadCheck(
  spread: TopologySpread,
  kind: ReplicaKind,
  table: ClusterTable,
  facts: FactVerdicts,
): PlaceCheck {
  const { topologyKey, maxSkew, minDomains, matchLabels } = spread
  // It may be spread away from replicas that it is none of.
  const own = hasLabels(kind.labels, matchLabels) ? 1 : 0
  const held = spreadCounts(spread, kind, table)
  const places = placesOpenTo(facts, held, table)
  const tooMany = `too many replicas in its ${topologyKey}`
  const nowhere = `no ${topologyKey} to spread over`
  let fewest = 0
  return {
    begin() {
      fewest = places.length < minDomains ? 0 : fewestIn(places, held)
    },
    reject(row) {
      const place = held.column.ids[row]!
      if (place === absentId) return nowhere
      return (held.counts[place] ?? 0) + own - fewest > maxSkew ? tooMany : undefined
    },
  }
}

function placesOpenTo(
  facts: FactVerdicts,
  { column }: PlaceCounts,
  table: ClusterTable,
): readonly number[] {
  const isOpen = new Uint8Array(column.size)
  for (let row = 0; row < table.rowCount; row++) {
    if (table.nodeAt(row) !== undefined && facts.codeOf(row) === 0) isOpen[column.ids[row]!] = 1
  }
  const places: number[] = []
  for (let place = absentId + 1; place < isOpen.length; place++)
    if (isOpen[place]) places.push(place)
  return places
}

function fewestIn(places: readonly number[], { counts }: PlaceCounts): number {
  let fewest = Infinity
  for (const place of places) fewest = Math.min(fewest, counts[place] ?? 0)
  return places.length === 0 ? 0 : fewest
}
