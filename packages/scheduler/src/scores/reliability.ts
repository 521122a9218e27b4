/** How far the node can be trusted to stay: its history, less what troubles it now. */
import type { NodeView } from '../model.ts'
import { clamp } from './clamp.ts'

export function reliabilityScore(node: NodeView): number {
  if (node.phase !== 'ready' && node.phase !== 'enrolling') return 0
  let score = node.reliability
  if (node.memoryPressure) score -= 0.2
  if (node.diskPressure) score -= 0.2
  if (node.networkUnavailable) score -= 0.4
  return clamp(node.phase === 'ready' ? score + 0.1 : score * 0.5)
}
