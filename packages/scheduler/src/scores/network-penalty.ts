/** What speaks against the node's network: 0 nothing, 1 everything. */
import type { NodeView, PendingReplica } from '../model.ts'
import { clamp } from './clamp.ts'

export function networkPenalty({ requests, regions }: PendingReplica, node: NodeView): number {
  if (node.networkUnavailable) return 1
  let penalty = 0
  if (requests.bandwidthBps > 0) {
    const free = Math.max(0, node.allocatable.bandwidthBps - node.reserved.bandwidthBps)
    penalty += 0.5 * Math.max(0, 1 - free / requests.bandwidthBps)
  }
  if (regions.length > 0 && !regions.includes(node.region)) penalty += 0.2
  return clamp(penalty)
}
