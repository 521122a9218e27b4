/** The node lets containers have what the replica asks of its host: by the very rule that the node itself starts them by. */
import { hostRefusal } from '@cloudless/base'
import { policyFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

export const policyFilter: FactFilter = {
  name: 'policy',

  checks({ hostDemands }) {
    if (hostDemands === undefined) return []
    return [
      {
        facet: policyFacet,
        // A node that has not told its policy may try.
        reject: ({ policy }) => policy && hostRefusal(hostDemands, policy)?.reason,
      },
    ]
  },
}
