/** A replica does not return to the node it is being moved off. */
import type { Filter } from './filter.ts'

export const excludedFilter: Filter = {
  name: 'excluded',

  reject({ excludedNodeIds }, { id }) {
    return excludedNodeIds.includes(id) ? 'excluded, the replica was moved off' : undefined
  },
}
