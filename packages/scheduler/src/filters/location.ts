/** The node is in one of the regions and one of the zones, where any are named. */
import type { Filter } from './filter.ts'

export const locationFilter: Filter = {
  name: 'location',

  reject({ regions, zones }, { region, zone }) {
    if (regions.length > 0 && !regions.includes(region)) return 'not in a wanted region'
    if (zones.length > 0 && !zones.includes(zone)) return 'not in a wanted zone'
    return undefined
  },
}
