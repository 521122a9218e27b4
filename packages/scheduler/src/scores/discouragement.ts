/** Taints that only discourage: each one that is not tolerated takes a fifth off. */
import type { NodeView, ReplicaKind } from '../model.ts'
import { tolerates } from '../tolerations.ts'

const malus = 0.2

/** -1 to 0. */
export function discouragement({ tolerations }: ReplicaKind, { taints }: NodeView): number {
  let score = 0
  for (const taint of taints) {
    if (taint.effect === 'PreferNoSchedule' && !tolerates(tolerations, taint)) score -= malus
  }
  return Math.max(-1, score)
}
