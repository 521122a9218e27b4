/**
 * How much each term counts.
 *
 *     score = wl locality + wr reliability + wc cost + wu utilization - wn network penalty + affinity + image + device
 *
 * The five weights are normalised to a sum of 1, so only their proportions matter. The last three are wishes and
 * circumstances, added on their own scales; the sum is cut to 0 to 1.
 */
import type { ScoreWeights } from '../model.ts'

export const defaultWeights: ScoreWeights = {
  locality: 0.3,
  reliability: 0.25,
  cost: 0.15,
  utilization: 0.2,
  networkPenalty: 0.1,
}

/** What a wish fulfilled adds, and what a device at its worst takes away. */
export const affinityWeight = 1
export const imageWeight = 0.05
export const deviceWeight = 0.25

/** The same proportions with a sum of 1. Negative weights and a sum of 0 are our bug or the configuration's to refuse. */
export function normaliseWeights(weights: ScoreWeights): ScoreWeights {
  const { locality, reliability, cost, utilization, networkPenalty } = weights
  const sum = locality + reliability + cost + utilization + networkPenalty
  return {
    locality: locality / sum,
    reliability: reliability / sum,
    cost: cost / sum,
    utilization: utilization / sum,
    networkPenalty: networkPenalty / sum,
  }
}
