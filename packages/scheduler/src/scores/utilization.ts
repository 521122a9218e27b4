/** How near to well used the node would be: the best is 65 %, which leaves room for the replicas of a neighbour that falls. */
import type { NodeView, PendingReplica } from '../model.ts'
import { clamp } from './clamp.ts'

const target = 0.65
const crowded = 0.9

export function utilizationScore({ requests }: PendingReplica, node: NodeView): number {
  const { allocatable, reserved } = node
  if (allocatable.cpuMillis <= 0 || allocatable.memoryBytes <= 0) return 0
  const cpuNow = reserved.cpuMillis / allocatable.cpuMillis
  const memoryNow = reserved.memoryBytes / allocatable.memoryBytes
  const cpu = cpuNow + requests.cpuMillis / allocatable.cpuMillis
  const memory = memoryNow + requests.memoryBytes / allocatable.memoryBytes
  if (cpu > 1 || memory > 1) return 0

  let score = 1 - (Math.abs(cpu - target) + Math.abs(memory - target)) / 2
  if (Math.abs(cpu - memory) < Math.abs(cpuNow - memoryNow)) score += 0.1
  if (cpu > crowded || memory > crowded) score -= 0.3
  return clamp(score)
}
