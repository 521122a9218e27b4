/** The node is in one of the regions and one of the zones, where any are named. */
import { regionFacet, zoneFacet } from '../table/facet.ts'
import type { FactCheck, FactFilter } from './filter.ts'

export const locationFilter: FactFilter = {
  name: 'location',

  checks({ regions, zones }) {
    const checks: FactCheck[] = []
    if (regions.length > 0) {
      checks.push({
        facet: regionFacet,
        reject: ({ region }) => (regions.includes(region) ? undefined : 'not in a wanted region'),
      })
    }
    if (zones.length > 0) {
      checks.push({
        facet: zoneFacet,
        reject: ({ zone }) => (zones.includes(zone) ? undefined : 'not in a wanted zone'),
      })
    }
    return checks
  },
}
