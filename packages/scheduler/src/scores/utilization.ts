/** How near to well used the node would be: the best is 65 %, which leaves room for the replicas of a neighbour that falls. */
import { clamp } from './clamp.ts'

const target = 0.65
const crowded = 0.9

/** CPU and memory as asked for, as the node has them, and as they are reserved, in the same units. */
export function utilizationScore(
  cpu: number,
  memory: number,
  nodeCpu: number,
  nodeMemory: number,
  reservedCpu: number,
  reservedMemory: number,
): number {
  if (nodeCpu <= 0 || nodeMemory <= 0) return 0
  const cpuNow = reservedCpu / nodeCpu
  const memoryNow = reservedMemory / nodeMemory
  const cpuThen = cpuNow + cpu / nodeCpu
  const memoryThen = memoryNow + memory / nodeMemory
  if (cpuThen > 1 || memoryThen > 1) return 0

  let score = 1 - (Math.abs(cpuThen - target) + Math.abs(memoryThen - target)) / 2
  if (Math.abs(cpuThen - memoryThen) < Math.abs(cpuNow - memoryNow)) score += 0.1
  if (cpuThen > crowded || memoryThen > crowded) score -= 0.3
  return clamp(score)
}
