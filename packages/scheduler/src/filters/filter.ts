/**
 * A filter says which nodes will not do, and why. It never ranks and never changes anything.
 *
 * There are three shapes, by what the answer depends on: what the node is (looked up once a distinct value), what is
 * reserved on it (asked again when its row changes), and what runs elsewhere (asked at each decision).
 */
import type { ClusterTable } from '../table/cluster-table.ts'
import type { Facet } from '../table/facet.ts'
import type { NodeView, ReplicaKind } from '../model.ts'

/** Undefined when the node will do; otherwise why not, in words fit for a user: "not enough memory". */
export type Reason = string | undefined

/** By what the node is. */
export interface FactFilter {
  readonly name: string
  /** Empty when the kind makes no such demand. */
  checks(kind: ReplicaKind): readonly FactCheck[]
}

export interface FactCheck {
  readonly facet: Facet
  /** The same for all nodes with the same value of the facet. */
  readonly reject: (node: NodeView) => Reason
}

/** By what is reserved on the node. */
export interface RoomFilter {
  readonly name: string
  /** Empty when the kind makes no such demand. The answers are by row, and good until there are more rows. */
  check(kind: ReplicaKind, table: ClusterTable): readonly ((row: number) => Reason)[]
}

/** By what runs elsewhere. */
export interface PlaceFilter {
  readonly name: string
  /** Undefined when there is nothing to ask. Good until nodes or what is watched change (`factsEpoch`, `counts.epoch`). */
  check(kind: ReplicaKind, table: ClusterTable): PlaceCheck | undefined
}

export interface PlaceCheck {
  /** To be called before each decision. */
  readonly begin?: () => void
  readonly reject: (row: number) => Reason
}
