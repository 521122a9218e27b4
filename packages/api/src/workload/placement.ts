/** Rules for where replicas may run and how they restart. */
import {
  AffinityType,
  type Affinity,
  type PlacementPolicy,
  type RestartPolicy,
  type ScoreWeights,
  type Toleration,
  type TopologySpread,
} from '../gen/cloudless/v1/workload_pb.ts'
import { problemWithLabelKey, validateLabels, validateRequirement } from './labels.ts'
import type { ProblemList } from './problem.ts'

export const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const
export const spreadTopologies = ['zone', 'region', 'node', 'none'] as const
export const packings = ['binpack', 'best_fit', 'spread'] as const

/** In a node selector: "network.feature/ipv6: required" is a wish, not a label a node must have. */
export const networkFeaturePrefix = 'network.feature/'
/** An annotation: "true" wishes for a node with a public address. */
export const publicAddressAnnotation = 'network.requirePublicIP'

const replicasMax = 100_000
const termsMax = 64

export function validatePlacement(placement: PlacementPolicy, problems: ProblemList): void {
  for (const name of ['regions', 'zones'] as const) {
    const at = problems.at(name)
    if (placement[name].includes('')) at.add('must not contain empty names')
    at.unique(placement[name], (one) => one, 'name')
  }
  validateLabels(placement.nodeSelector, problems.at('nodeSelector'))
  validateNetworkWishes(placement.nodeSelector, problems.at('nodeSelector'))
  for (const name of ['affinity', 'antiAffinity'] as const) {
    limited(placement[name], problems.at(name), validateAffinity)
  }
  limited(placement.tolerations, problems.at('tolerations'), validateToleration)
  limited(placement.nodeRequirements, problems.at('nodeRequirements'), validateRequirement)
  problems.at('spreadTopology').oneOf(placement.spreadTopology, ['', ...spreadTopologies])
  problems.at('packing').oneOf(placement.packing, ['', ...packings])
  limited(placement.topologySpread, problems.at('topologySpread'), validateTopologySpread)
  if (placement.scoreWeights !== undefined) {
    validateScoreWeights(placement.scoreWeights, problems.at('scoreWeights'))
  }
}

function validateNetworkWishes(
  nodeSelector: Readonly<Record<string, string>>,
  problems: ProblemList,
): void {
  for (const [key, value] of Object.entries(nodeSelector)) {
    if (!key.startsWith(networkFeaturePrefix) || value === 'required') continue
    problems.at(key).add(`must be "required", not ${JSON.stringify(value)}`)
  }
}

function validateTopologySpread(spread: TopologySpread, problems: ProblemList): void {
  const key = problems.at('topologyKey')
  if (spread.topologyKey === '') key.add('must be "node", "zone", "region" or a label of nodes')
  else key.addIf(problemWithLabelKey(spread.topologyKey))
  problems.at('maxSkew').integer(spread.maxSkew, { min: 0, max: replicasMax })
  problems.at('minDomains').integer(spread.minDomains, { min: 0, max: replicasMax })
  if (spread.minDomains > 0 && !spread.required) {
    problems.at('minDomains').add('needs required: true; a wish has no least number of places')
  }
  validateLabels(spread.matchLabels, problems.at('matchLabels'))
}

const weightNames = ['locality', 'reliability', 'cost', 'utilization', 'networkPenalty'] as const
const weightMax = 1_000_000

/** Only their proportions matter, so any numbers will do that are not negative, unless all are 0. */
export function validateScoreWeights(weights: ScoreWeights, problems: ProblemList): void {
  for (const name of weightNames) {
    const value = weights[name]
    if (value >= 0 && value <= weightMax) continue
    problems.at(name).add(`must be from 0 to ${weightMax}, not ${value}`)
  }
  if (weightNames.every((name) => weights[name] === 0)) problems.add('must not all be 0')
}

function validateAffinity(affinity: Affinity, problems: ProblemList): void {
  if (affinity.type !== AffinityType.NODE && affinity.type !== AffinityType.WORKLOAD) {
    problems.at('type').add('must be NODE or WORKLOAD')
  }
  if (Object.keys(affinity.matchLabels).length === 0) {
    problems.at('matchLabels').add('must have at least one label')
  }
  validateLabels(affinity.matchLabels, problems.at('matchLabels'))
  if (affinity.topologyKey !== '') {
    problems.at('topologyKey').addIf(problemWithLabelKey(affinity.topologyKey))
  }
  problems.at('weight').integer(affinity.weight, { min: 0, max: 100 })
}

export function validateToleration(toleration: Toleration, problems: ProblemList): void {
  const { key, value, operator, effect } = toleration
  problems.at('operator').oneOf(operator, ['', 'Equal', 'Exists'])
  problems.at('effect').oneOf(effect, ['', ...taintEffects])
  if (key !== '') problems.at('key').addIf(problemWithLabelKey(key))
  else if (operator !== 'Exists') problems.at('key').add('must not be empty, except for Exists')
  if (operator === 'Exists' && value !== '') problems.at('value').add('must be empty for Exists')
}

export function validateRestartPolicy(policy: RestartPolicy, problems: ProblemList): void {
  problems.at('policy').integer(policy.policy, { min: 0, max: 3 })
  problems.at('maxRetries').integer(policy.maxRetries, { min: 0, max: 1_000_000 })
  problems.at('backoffMs').integer(policy.backoffMs, { min: 0, max: 300_000 })
}

function limited<T>(
  items: readonly T[],
  problems: ProblemList,
  validate: (item: T, problems: ProblemList) => void,
): void {
  if (items.length > termsMax) problems.add(`must have at most ${termsMax} elements`)
  for (const [index, item] of items.slice(0, termsMax).entries()) validate(item, problems.at(index))
}
