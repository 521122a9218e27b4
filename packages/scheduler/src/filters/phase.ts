/** Only a node that is ready takes new replicas. */
import type { Filter } from './filter.ts'

export const phaseFilter: Filter = {
  name: 'phase',

  reject(_replica, { phase }) {
    if (phase === 'ready') return undefined
    return phase === 'unknown' ? 'not heard from' : phase
  },
}
