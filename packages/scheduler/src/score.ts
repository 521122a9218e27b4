/**
 * Ranking: how good each feasible node is for a replica, 0 to 1.
 *
 *     score = wl locality + wr reliability + wc cost + wu utilization - wn network penalty + preference
 *
 * The weights are normalised to a sum of 1, so only their proportions matter.
 */
import type { AffinityTerms } from './affinity.ts'
import type { NodeView, PendingReplica, ScoreTerms, ScoreWeights } from './model.ts'
import { clamp } from './scores/clamp.ts'
import { costScore } from './scores/cost.ts'
import { localityScore } from './scores/locality.ts'
import { networkPenalty } from './scores/network-penalty.ts'
import { preferenceScore } from './scores/preference.ts'
import { reliabilityScore } from './scores/reliability.ts'
import { utilizationScore } from './scores/utilization.ts'

export const defaultWeights: ScoreWeights = {
  locality: 0.3,
  reliability: 0.25,
  cost: 0.15,
  utilization: 0.2,
  networkPenalty: 0.1,
}

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

/** `weights` are normalised. No allocation: it runs for every feasible node. */
export function scoreNode(
  replica: PendingReplica,
  node: NodeView,
  terms: AffinityTerms,
  weights: ScoreWeights,
): number {
  return clamp(
    weights.locality * localityScore(replica, node) +
      weights.reliability * reliabilityScore(node) +
      weights.cost * costScore(replica, node) +
      weights.utilization * utilizationScore(replica, node) -
      weights.networkPenalty * networkPenalty(replica, node) +
      preferenceScore(replica, node, terms),
  )
}

/** The parts of `scoreNode`, for explaining it. */
export function scoreTermsOf(
  replica: PendingReplica,
  node: NodeView,
  terms: AffinityTerms,
): ScoreTerms {
  return {
    locality: localityScore(replica, node),
    reliability: reliabilityScore(node),
    cost: costScore(replica, node),
    utilization: utilizationScore(replica, node),
    networkPenalty: networkPenalty(replica, node),
    preference: preferenceScore(replica, node, terms),
  }
}
