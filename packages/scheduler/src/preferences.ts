/** Wishes about what else is there: affinities that need not hold, and spread that is not a condition. -1 to 1. */
import { affinityPlaces } from './affinity-places.ts'
import { spreadCounts } from './filters/topology-spread.ts'
import type { ReplicaKind } from './model.ts'
import type { ClusterTable } from './table/cluster-table.ts'

const requiredBonus = 0.1
const wantedBonusMax = 0.2
const shunnedMalusMax = 0.3
const unevenMalusMax = 0.2

/** Undefined when the kind has no such wishes. The answer is by row, and good as long as a `PlaceCheck` is. */
export function preferencesOf(
  kind: ReplicaKind,
  table: ClusterTable,
): ((row: number) => number) | undefined {
  const wishes = [...affinityWishes(kind, table), ...spreadWishes(kind, table)]
  if (wishes.length === 0) return undefined
  return (row) => {
    let sum = 0
    for (const wish of wishes) sum += wish(row)
    return Math.min(1, Math.max(-1, sum))
  }
}

type Wish = (row: number) => number

function affinityWishes(kind: ReplicaKind, table: ClusterTable): readonly Wish[] {
  const wanted = kind.affinity.map((affinity): Wish => {
    const { required, weight } = affinity
    const places = affinityPlaces(affinity, kind, table)
    const bonus = required ? requiredBonus : (wantedBonusMax * weight) / 100
    return (row) => (places.isAmong(row) ? bonus : 0)
  })
  const shunned = kind.antiAffinity
    .filter(({ required }) => !required)
    .map((affinity): Wish => {
      const places = affinityPlaces(affinity, kind, table)
      const malus = (shunnedMalusMax * affinity.weight) / 100
      return (row) => (places.isAmong(row) ? -malus : 0)
    })
  return [...wanted, ...shunned]
}

/** The more of the counted replicas are in the place already, the less it is wanted. */
function spreadWishes(kind: ReplicaKind, table: ClusterTable): readonly Wish[] {
  return kind.topologySpread
    .filter(({ required }) => !required)
    .map((spread): Wish => {
      const held = spreadCounts(spread, kind, table)
      return (row) => {
        const inPlace = held.counts[held.column.ids[row]!] ?? 0
        return -unevenMalusMax * (inPlace / (inPlace + spread.maxSkew))
      }
    })
}
