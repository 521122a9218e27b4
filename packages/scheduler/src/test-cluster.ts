/** A table beside the plain truth of what is in it, both changed together. */
import assert from 'node:assert/strict'
import { explain } from './explain.ts'
import type { NodeView, PlacedReplica, ReplicaKind, Verdict } from './model.ts'
import { schedule } from './schedule.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import type { Change } from './test-arbitraries.ts'
import type { PlainCluster } from './test-reference.ts'
import { pendingOf, tableOf } from './test-views.ts'

export class TruthfulCluster {
  readonly table: ClusterTable = tableOf([])
  readonly #nodes = new Map<string, NodeView>()
  readonly #replicas = new Map<string, PlacedReplica>()

  apply(change: Change): void {
    switch (change.do) {
      case 'putNode':
        this.#nodes.set(change.node.id, change.node)
        return this.table.putNode(change.node)
      case 'removeNode':
        this.#nodes.delete(change.nodeId)
        return this.table.removeNode(change.nodeId)
      case 'putReplica':
        return this.#put(change.replica)
      case 'removeReplica':
        this.#replicas.delete(change.replicaId)
        return this.table.removeReplica(change.replicaId)
      case 'place':
        return this.#place(change.kind, change.replicaId)
      case 'ask':
        schedule(this.table, [pendingOf('asked for', change.kind)])
    }
  }

  /** Without what is on nodes that are not there. */
  get truth(): PlainCluster {
    const replicas = [...this.#replicas.values()].filter(({ nodeId }) => this.#nodes.has(nodeId))
    return { nodes: [...this.#nodes.values()], replicas }
  }

  /** A table built anew from the same nodes and replicas, the last first. */
  rebuilt(): ClusterTable {
    return tableOf(
      [...this.#nodes.values()].toReversed(),
      [...this.#replicas.values()].toReversed(),
    )
  }

  #put(replica: PlacedReplica): void {
    this.#replicas.set(replica.id, replica)
    this.table.putReplica(replica)
  }

  #place(kind: ReplicaKind, id: string): void {
    const [placement] = schedule(this.table, [pendingOf(id, kind)])
    if (placement?.kind === 'placed') {
      this.#put({ id, nodeId: placement.nodeId, kind, holding: 'holding' })
    }
  }
}

/** Everything a table can be asked, for these kinds. */
export function picture(table: ClusterTable, kinds: readonly ReplicaKind[]): unknown {
  const nodes = [...table.nodes()].sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    nodes: nodes.map((node) => ({
      node,
      reserved: table.reservedOn(node.id),
      replicas: table
        .replicasOn(node.id)
        .map(({ id }) => id)
        .sort(),
    })),
    verdicts: kinds.map((kind) => explain(table, pendingOf('another', kind))),
    placements: schedule(
      table,
      kinds.flatMap((kind, n) => [0, 1, 2].map((copy) => pendingOf(`new-${n}-${copy}`, kind))),
    ),
  }
}

export function assertSamePicture(
  one: ClusterTable,
  other: ClusterTable,
  kinds: readonly ReplicaKind[],
): void {
  assert.deepEqual(picture(one, kinds), picture(other, kinds))
}

/** In the shape of the plain reference. */
export function refusalsOf(
  verdicts: readonly Verdict[],
): Map<string, { filter: string; reason: string } | undefined> {
  return new Map(
    verdicts.map((verdict) => [
      verdict.nodeId,
      verdict.kind === 'feasible' ? undefined : { filter: verdict.filter, reason: verdict.reason },
    ]),
  )
}
