/** Only a node that is ready takes new replicas. */
import { phaseFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

export const phaseFilter: FactFilter = {
  name: 'phase',

  checks: () => [
    {
      facet: phaseFacet,
      reject({ phase }) {
        if (phase === 'ready') return undefined
        return phase === 'unknown' ? 'not heard from' : phase
      },
    },
  ],
}
