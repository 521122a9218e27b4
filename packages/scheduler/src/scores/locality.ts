/** How near the node is to where the workload wants to be: the first region named is the best. */
import type { NodeView, ReplicaKind } from '../model.ts'
import { clamp } from './clamp.ts'

export function localityScore(
  { regions, zones }: Pick<ReplicaKind, 'regions' | 'zones'>,
  { region, zone }: Pick<NodeView, 'region' | 'zone'>,
): number {
  return clamp(regionScore(regions, region) + zoneBonus(zones, zone))
}

/** The part that depends on the region. */
export function regionScore(regions: readonly string[], region: string): number {
  if (regions.length === 0) return 0.7
  const index = regions.indexOf(region)
  return index < 0 ? 0.5 : 1 - 0.1 * index
}

/** The part that depends on the zone. */
export function zoneBonus(zones: readonly string[], zone: string): number {
  if (zones.length === 0) return 0
  return zones.includes(zone) ? 0.2 : -0.2
}
