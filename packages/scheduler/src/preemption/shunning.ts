/** Who cannot stand whom: required anti-affinities between two kinds of replica, in either direction. */
import { hasLabels } from '../labels.ts'
import type { Affinity, ReplicaKind } from '../model.ts'

/** Of `one`: those that forbid `other` to be near it. */
export function shunningOf(one: ReplicaKind, other: ReplicaKind): readonly Affinity[] {
  if (one.antiAffinity.length === 0) return []
  return one.antiAffinity.filter(
    ({ required, subject, matchLabels }) =>
      required && subject === 'workload' && hasLabels(other.labels, matchLabels),
  )
}

/** Whether the two cannot be on one node, wherever it is. */
export function cannotShareNode(one: ReplicaKind, other: ReplicaKind): boolean {
  return [...shunningOf(one, other), ...shunningOf(other, one)].some(
    ({ topologyKey }) => topologyKey === 'node' || topologyKey === '',
  )
}
