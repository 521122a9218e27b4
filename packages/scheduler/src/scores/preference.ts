/** Wishes: affinities that need not hold, and taints that only discourage. Added to the weighted sum, -1 to 1. */
import { isAmong, type AffinityTerms } from '../affinity.ts'
import type { NodeView, PendingReplica } from '../model.ts'
import { tolerates } from '../tolerations.ts'

const requiredBonus = 0.1
const wantedBonusMax = 0.2
const shunnedMalusMax = 0.3
const discouragedMalus = 0.2

export function preferenceScore(
  replica: PendingReplica,
  node: NodeView,
  { wanted, shunned }: AffinityTerms,
): number {
  let preference = 0
  for (const term of wanted) {
    if (!isAmong(term, node)) continue
    const { required, weight } = term.affinity
    preference += required ? requiredBonus : (wantedBonusMax * weight) / 100
  }
  for (const term of shunned) {
    if (!isAmong(term, node)) continue
    preference -= (shunnedMalusMax * term.affinity.weight) / 100
  }
  for (const taint of node.taints) {
    if (taint.effect !== 'PreferNoSchedule' || tolerates(replica.tolerations, taint)) continue
    preference -= discouragedMalus
  }
  return Math.min(1, Math.max(-1, preference))
}
