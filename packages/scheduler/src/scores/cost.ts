/** How well the size of the replica suits the size of the node: neither a crumb on a giant nor a giant on a crumb. */
import type { NodeView, PendingReplica } from '../model.ts'
import { clamp } from './clamp.ts'

export function costScore({ requests }: PendingReplica, { allocatable }: NodeView): number {
  if (allocatable.cpuMillis <= 0 || allocatable.memoryBytes <= 0) return 0
  const share =
    (requests.cpuMillis / allocatable.cpuMillis + requests.memoryBytes / allocatable.memoryBytes) /
    2
  // A GPU that is not used is an expensive place to be.
  const wasted = allocatable.gpuCount > 0 && requests.gpuCount === 0 ? 0.3 : 0
  return clamp(scoreOfShare(share) - wasted)
}

function scoreOfShare(share: number): number {
  if (share < 0.1) return 0.7
  if (share < 0.3) return 1
  if (share < 0.5) return 0.8
  if (share < 0.7) return 0.6
  return 0.3
}
