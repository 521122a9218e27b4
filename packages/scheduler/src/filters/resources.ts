/** The node has what is asked for, beside what is reserved on it. */
import type { Resources } from '../model.ts'
import { resourceNames } from '../table/resource-columns.ts'
import type { RoomFilter } from './filter.ts'

const reasons: Readonly<Record<keyof Resources, string>> = {
  cpuMillis: 'not enough CPU',
  memoryBytes: 'not enough memory',
  storageBytes: 'not enough storage',
  bandwidthBps: 'not enough bandwidth',
  gpuCount: 'not enough GPUs',
}

export const resourcesFilter: RoomFilter = {
  name: 'resources',

  check({ requests }, { resources }) {
    // What is not asked for is not looked at: a node may have been given less than is reserved on it.
    return resourceNames
      .filter((name) => requests[name] > 0)
      .map((name) => {
        const asked = requests[name]
        const reason = reasons[name]
        const taken = resources.reserved[name]
        const there = resources.allocatable[name]
        return (row) => (taken[row]! + asked > there[row]! ? reason : undefined)
      })
  },
}
