/** How well the size of the replica suits the size of the node: neither a crumb on a giant nor a giant on a crumb. */
import { clamp } from './clamp.ts'

/** CPU and memory as asked for, and as the node has them, in the same units. */
export function costScore(
  cpu: number,
  memory: number,
  nodeCpu: number,
  nodeMemory: number,
  wastesGpu: boolean,
): number {
  if (nodeCpu <= 0 || nodeMemory <= 0) return 0
  const share = (cpu / nodeCpu + memory / nodeMemory) / 2
  // A GPU that is not used is an expensive place to be.
  return clamp(scoreOfShare(share) - (wastesGpu ? 0.3 : 0))
}

function scoreOfShare(share: number): number {
  if (share < 0.1) return 0.7
  if (share < 0.3) return 1
  if (share < 0.5) return 0.8
  if (share < 0.7) return 0.6
  return 0.3
}
