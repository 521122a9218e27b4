/** What speaks against the node's network: 0 nothing, 1 everything. */
import type { NodeView, ReplicaKind } from '../model.ts'
import { clamp } from './clamp.ts'

/** `freeBandwidthBps`: what nobody has reserved of the node's. */
export function networkPenalty(
  kind: ReplicaKind,
  node: NodeView,
  freeBandwidthBps: number,
): number {
  return clamp(
    networkShortcomings(kind, node) +
      bandwidthShortage(kind.requests.bandwidthBps, freeBandwidthBps),
  )
}

/** The part that depends on what the node is. */
export function networkShortcomings(kind: ReplicaKind, node: NodeView): number {
  if (node.networkUnavailable) return 1
  let penalty = 0
  if (kind.wantsPublicAddress && !node.hasPublicAddress) penalty += 0.1
  for (const feature of kind.networkFeatures) {
    if (!node.networkFeatures.includes(feature)) penalty += 0.3
  }
  if (kind.regions.length > 0 && !kind.regions.includes(node.region)) penalty += 0.2
  return penalty
}

/** The part that depends on what is reserved. */
export function bandwidthShortage(askedBps: number, freeBps: number): number {
  if (askedBps <= 0) return 0
  return 0.5 * Math.max(0, 1 - Math.max(0, freeBps) / askedBps)
}
