/** Every filter, in the order in which a node's reason is looked for: the first is final, so a node is counted once. */
import { affinityFilter } from './affinity.ts'
import { antiAffinityFilter } from './anti-affinity.ts'
import type { FactFilter, PlaceFilter, RoomFilter } from './filter.ts'
import { gpuModelFilter } from './gpu-model.ts'
import { hostPortsFilter } from './host-ports.ts'
import { iopsClassFilter } from './iops-class.ts'
import { locationFilter } from './location.ts'
import { phaseFilter } from './phase.ts'
import { platformFilter } from './platform.ts'
import { policyFilter } from './policy.ts'
import { resourcesFilter } from './resources.ts'
import { selectorFilter } from './selector.ts'
import { storageFilter } from './storage.ts'
import { taintsFilter } from './taints.ts'
import { topologySpreadFilter } from './topology-spread.ts'

/** Cheapest first: looked up. */
export const factFilters: readonly FactFilter[] = [
  phaseFilter,
  taintsFilter,
  policyFilter,
  selectorFilter,
  locationFilter,
  platformFilter,
  gpuModelFilter,
  iopsClassFilter,
  storageFilter,
]

export const roomFilters: readonly RoomFilter[] = [resourcesFilter, hostPortsFilter]

export const placeFilters: readonly PlaceFilter[] = [
  antiAffinityFilter,
  affinityFilter,
  topologySpreadFilter,
]

/** Filters of facts that come and go by themselves: what runs is not to be stopped for them. */
export const passingFilters: readonly FactFilter[] = [phaseFilter, storageFilter]

/** The only node for a bound replica is another. */
export const boundRejection = {
  filter: 'bound',
  reason: 'it is meant for another node',
} as const

/** A replica does not return to the node it is being moved off. */
export const excludedRejection = {
  filter: 'excluded',
  reason: 'excluded, the replica was moved off',
} as const
