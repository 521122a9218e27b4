/**
 * The node is not where a required anti-affinity forbids the replica: neither one of its own, nor one of a replica that
 * is there already and wants nothing like it near.
 */
import { affinityPlaces } from '../affinity-places.ts'
import type { PlaceFilter } from './filter.ts'

export const antiAffinityFilter: PlaceFilter = {
  name: 'anti-affinity',

  check(kind, table) {
    const shunned = kind.antiAffinity
      .filter(({ required }) => required)
      .map((affinity) => ({
        reason: `${affinity.subject} anti-affinity`,
        places: affinityPlaces(affinity, kind, table),
      }))
    const repulsions = table.counts.repulsionsOf(kind.labels)
    if (shunned.length + repulsions.length === 0) return undefined
    return {
      reject(row) {
        for (const { reason, places } of shunned) if (places.isAmong(row)) return reason
        for (const { counts, column } of repulsions) {
          if ((counts[column.ids[row]!] ?? 0) > 0) return 'a replica there shuns it'
        }
        return undefined
      },
    }
  },
}
