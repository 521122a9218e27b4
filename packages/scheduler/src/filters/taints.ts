/** Every taint that forbids must be tolerated; one that only discourages is the score's matter. */
import { taintsFacet } from '../table/facet.ts'
import { tolerates } from '../tolerations.ts'
import type { FactFilter } from './filter.ts'

export const taintsFilter: FactFilter = {
  name: 'taints',

  checks: ({ tolerations }) => [
    {
      facet: taintsFacet,
      reject({ taints }) {
        for (const taint of taints) {
          if (taint.effect === 'PreferNoSchedule' || tolerates(tolerations, taint)) continue
          return taint.value === '' ? `tainted ${taint.key}` : `tainted ${taint.key}=${taint.value}`
        }
        return undefined
      },
    },
  ],
}
