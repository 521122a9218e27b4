/** A node whose disk runs full takes nothing that asks for disk, whatever its reservations say. */
import { diskFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

export const storageFilter: FactFilter = {
  name: 'storage',

  checks({ requests }) {
    if (requests.storageBytes <= 0) return []
    return [
      {
        facet: diskFacet,
        reject: ({ diskPressure }) => (diskPressure ? 'disk nearly full' : undefined),
      },
    ]
  },
}
