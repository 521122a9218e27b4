/**
 * Affinities, looked up once per replica: for each term, the places that hold what it names.
 *
 * A term about nodes names places that have a node with its labels; one about workloads, places that run a replica with
 * them. Whether such a place is wanted or shunned is the caller's matter.
 */
import { hasLabels, nodeHasLabels, placeOf } from './labels.ts'
import type { Affinity, NodeView, PendingReplica } from './model.ts'

export interface AffinityTerm {
  readonly affinity: Affinity
  readonly places: ReadonlySet<string>
  /**
   * Nothing in the cluster has the labels but the replica itself has: the first of a group that wants to be together
   * may go anywhere.
   */
  readonly isFirstOfItsKind: boolean
}

export interface AffinityTerms {
  readonly wanted: readonly AffinityTerm[]
  readonly shunned: readonly AffinityTerm[]
}

const none: AffinityTerms = { wanted: [], shunned: [] }

export function findAffinityTerms(
  replica: PendingReplica,
  nodes: readonly NodeView[],
): AffinityTerms {
  if (replica.affinity.length === 0 && replica.antiAffinity.length === 0) return none
  return {
    wanted: replica.affinity.map((affinity) => findTerm(affinity, replica, nodes)),
    shunned: replica.antiAffinity.map((affinity) => findTerm(affinity, replica, nodes)),
  }
}

function findTerm(
  affinity: Affinity,
  replica: PendingReplica,
  nodes: readonly NodeView[],
): AffinityTerm {
  const places = new Set<string>()
  for (const node of nodes) {
    const place = placeOf(node, affinity.topologyKey)
    if (place !== undefined && holds(node, affinity)) places.add(place)
  }
  const isFirstOfItsKind =
    affinity.subject === 'workload' &&
    places.size === 0 &&
    hasLabels(replica.labels, affinity.matchLabels)
  return { affinity, places, isFirstOfItsKind }
}

function holds(node: NodeView, { subject, matchLabels }: Affinity): boolean {
  if (subject === 'node') return nodeHasLabels(node, matchLabels)
  return node.replicas.some((replica) => hasLabels(replica.labels, matchLabels))
}

/** Whether the node is in one of the term's places. */
export function isAmong({ affinity, places }: AffinityTerm, node: NodeView): boolean {
  if (places.size === 0) return false
  const place = placeOf(node, affinity.topologyKey)
  return place !== undefined && places.has(place)
}
