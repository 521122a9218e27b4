/** How near the node is to where the workload wants to be: the first region named is the best. */
import type { NodeView, PendingReplica } from '../model.ts'
import { clamp } from './clamp.ts'

export function localityScore(replica: PendingReplica, node: NodeView): number {
  const { regions, zones } = replica
  let score = 0.7
  if (regions.length > 0) {
    const index = regions.indexOf(node.region)
    score = index < 0 ? 0.5 : 1 - 0.1 * index
  }
  if (zones.length > 0) score += zones.includes(node.zone) ? 0.2 : -0.2
  return clamp(score)
}
