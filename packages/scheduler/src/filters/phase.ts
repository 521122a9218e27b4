/** Only a node that is ready takes new replicas; daemons belong to every node that is there. */
import { phaseFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

export const phaseFilter: FactFilter = {
  name: 'phase',

  checks: ({ isDaemon }) => [
    {
      facet: phaseFacet,
      reject({ phase }) {
        if (phase === 'ready') return undefined
        if (isDaemon && (phase === 'cordoned' || phase === 'draining')) return undefined
        return phase === 'unknown' ? 'not heard from' : phase
      },
    },
  ],
}
