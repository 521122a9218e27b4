/**
 * The cluster as it will be once the placements decided so far are made.
 *
 * Holds the caller's views and replaces (never changes) those that a placement touches; counts each workload's replicas by
 * node, which is what spreading asks for again and again.
 */
import { addResources } from './capacity.ts'
import { placeOf } from './labels.ts'
import type { NodeView, PendingReplica } from './model.ts'

export class Board {
  readonly #nodes: NodeView[]
  /** Workload id, then node id. */
  readonly #counts = new Map<string, Map<string, number>>()

  constructor(nodes: readonly NodeView[]) {
    this.#nodes = [...nodes]
    for (const node of nodes) {
      for (const replica of node.replicas) this.#count(replica.workloadId, node.id)
    }
  }

  get nodes(): readonly NodeView[] {
    return this.#nodes
  }

  /** Reserves what the replica needs on the node at `index`. */
  place(replica: PendingReplica, index: number): void {
    const node = this.#nodes[index]!
    const { id, workloadId, labels, requests, hostPorts } = replica
    this.#nodes[index] = {
      ...node,
      reserved: addResources(node.reserved, requests),
      hostPorts:
        hostPorts.length === 0 ? node.hostPorts : new Set([...node.hostPorts, ...hostPorts]),
      replicas: [...node.replicas, { id, workloadId, labels }],
    }
    this.#count(workloadId, node.id)
  }

  /** Replicas of the workload on one node. */
  replicasOn(workloadId: string, nodeId: string): number {
    return this.#counts.get(workloadId)?.get(nodeId) ?? 0
  }

  /** Replicas of the workload in each place; places without any are not listed. */
  replicasByPlace(workloadId: string, topologyKey: string): ReadonlyMap<string, number> {
    const byPlace = new Map<string, number>()
    const byNode = this.#counts.get(workloadId)
    if (byNode === undefined) return byPlace
    for (const node of this.#nodes) {
      const place = placeOf(node, topologyKey)
      const count = byNode.get(node.id)
      if (place === undefined || count === undefined) continue
      byPlace.set(place, (byPlace.get(place) ?? 0) + count)
    }
    return byPlace
  }

  #count(workloadId: string, nodeId: string): void {
    let byNode = this.#counts.get(workloadId)
    if (byNode === undefined) this.#counts.set(workloadId, (byNode = new Map()))
    byNode.set(nodeId, (byNode.get(nodeId) ?? 0) + 1)
  }
}
