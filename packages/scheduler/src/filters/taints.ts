/** Every taint that forbids must be tolerated; one that only discourages is the score's matter. */
import type { Filter } from './filter.ts'
import { tolerates } from '../tolerations.ts'

export const taintsFilter: Filter = {
  name: 'taints',

  reject({ tolerations }, { taints }) {
    for (const taint of taints) {
      if (taint.effect === 'PreferNoSchedule' || tolerates(tolerations, taint)) continue
      return taint.value === '' ? `tainted ${taint.key}` : `tainted ${taint.key}=${taint.value}`
    }
    return undefined
  },
}
