/** Rejects nodes whose unreserved capacity cannot hold the replica. */
import { lackingResource } from '../capacity.ts'
import type { Filter } from './filter.ts'

export const resourcesFilter: Filter = {
  name: 'resources',

  reject({ requests }, { allocatable, reserved }) {
    return lackingResource(allocatable, reserved, requests)
  },
}
