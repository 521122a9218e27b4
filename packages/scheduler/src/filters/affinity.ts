/** The node is where a required affinity wants the replica. */
import { affinityPlaces } from '../affinity-places.ts'
import type { PlaceFilter } from './filter.ts'

export const affinityFilter: PlaceFilter = {
  name: 'affinity',

  check(kind, table) {
    const wanted = kind.affinity
      .filter(({ required }) => required)
      .map((affinity) => ({
        reason: `${affinity.subject} affinity not met`,
        places: affinityPlaces(affinity, kind, table),
      }))
    if (wanted.length === 0) return undefined
    return {
      reject(row) {
        for (const { reason, places } of wanted) {
          if (!places.isAmong(row) && !places.mayBeFirstOn(row)) return reason
        }
        return undefined
      },
    }
  },
}
