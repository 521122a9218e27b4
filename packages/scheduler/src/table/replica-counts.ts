/**
 * How many replicas of which kind are in which place: what affinity, anti-affinity and spread ask for every node.
 *
 * The truth is one small map a group of replicas: how many are on which row. What was asked for is kept beside it as a
 * column of counts by place, and follows each change, so that asking again costs a lookup and no walk over replicas.
 */
import { hasLabels, keyOfLabels, placeOf } from '../labels.ts'
import type { Affinity, Labels, NodeView, ReplicaKind } from '../model.ts'
import { absentId, placeFacet, type FacetColumn } from './facet.ts'
import type { ColumnSource } from './columns.ts'

/** Which replicas are counted. */
export type Counted = { readonly workloadId: string } | { readonly matchLabels: Labels }

/** Replicas by the number of their place in `column`. Follows the table until `isStale`. */
export interface PlaceCounts {
  readonly column: FacetColumn
  counts: Int32Array
  /** In all places together; replicas on nodes that are in no place do not count. */
  total: number
}

interface Group {
  readonly workloadId: string
  readonly labels: Labels
  /** Row to number of replicas. */
  readonly rows: Map<number, number>
  readonly watchedBy: Watched[]
}

interface Watched extends PlaceCounts {
  readonly counted: Counted
}

/** A required anti-affinity that replicas on some nodes have: nothing it names may join them in their places. */
export interface Repulsion extends PlaceCounts {
  readonly matchLabels: Labels
}

/** Of all counts that are watched, 4 bytes each; beyond it they are forgotten together and worked out as they are asked for. */
const cellsMax = 8_000_000
const watchedMax = 10_000

export class ReplicaCounts {
  readonly #columns: ColumnSource
  readonly #groups = new Map<string, Group>()
  readonly #groupsByWorkload = new Map<string, Set<Group>>()
  #groupOfKind = new WeakMap<ReplicaKind, Group>()
  readonly #watched = new Map<string, Watched>()
  readonly #repulsions = new Map<string, Repulsion>()
  #epoch = 0
  #cells = 0
  /** Of groups and repulsions, when they are next looked through for those that nothing is left of. */
  #tidiedAbove = 1_024

  constructor(columns: ColumnSource) {
    this.#columns = columns
  }

  /** Changes when counts that were handed out no longer follow, or there are repulsions that were not. */
  get epoch(): number {
    return this.#epoch
  }

  /** `times` is 1 or -1. */
  count(row: number, node: NodeView, kind: ReplicaKind, times: number): void {
    const group = this.#groupOf(kind)
    const onRow = (group.rows.get(row) ?? 0) + times
    if (onRow === 0) group.rows.delete(row)
    else group.rows.set(row, onRow)
    for (const watched of group.watchedBy) add(watched, row, times)
    for (const affinity of kind.antiAffinity) {
      if (!affinity.required || affinity.subject !== 'workload') continue
      this.#repel(row, node, affinity, times)
    }
  }

  /** Follows the table until `epoch` changes. */
  countsOf(counted: Counted, topologyKey: string): PlaceCounts {
    const key = JSON.stringify([keyOfCounted(counted), topologyKey])
    const known = this.#watched.get(key)
    if (known !== undefined) return known
    const column = this.#columns.column(placeFacet(topologyKey))
    this.#cells += column.size
    if (this.#cells > cellsMax || this.#watched.size >= watchedMax) this.#forgetWatched()
    const watched: Watched = { counted, column, counts: new Int32Array(column.size), total: 0 }
    const groups =
      'workloadId' in counted
        ? (this.#groupsByWorkload.get(counted.workloadId) ?? [])
        : this.#groups.values()
    for (const group of groups) this.#watch(watched, group)
    this.#watched.set(key, watched)
    return watched
  }

  /** Those that concern a replica with these labels. */
  repulsionsOf(labels: Labels): readonly Repulsion[] {
    return [...this.#repulsions.values()].filter(({ matchLabels }) =>
      hasLabels(labels, matchLabels),
    )
  }

  /** Counts nothing any more, and what was handed out no longer follows: the numbers of the places change. */
  reset(): void {
    this.#repulsions.clear()
    for (const group of this.#groups.values()) group.rows.clear()
    this.#forgetWatched()
  }

  /** To be called between decisions: forgets workloads that have no replicas any more. */
  tidy(): void {
    if (this.#groups.size + this.#repulsions.size <= this.#tidiedAbove) return
    for (const [key, group] of this.#groups) if (group.rows.size === 0) this.#drop(key, group)
    for (const [key, { total }] of this.#repulsions) if (total === 0) this.#repulsions.delete(key)
    this.#groupOfKind = new WeakMap()
    this.#tidiedAbove = 2 * (this.#groups.size + this.#repulsions.size) + 1_024
    this.#epoch++
  }

  #drop(key: string, group: Group): void {
    this.#groups.delete(key)
    const siblings = this.#groupsByWorkload.get(group.workloadId)
    siblings?.delete(group)
    if (siblings?.size === 0) this.#groupsByWorkload.delete(group.workloadId)
  }

  #forgetWatched(): void {
    this.#watched.clear()
    this.#cells = 0
    for (const group of this.#groups.values()) group.watchedBy.length = 0
    this.#epoch++
  }

  #groupOf(kind: ReplicaKind): Group {
    let group = this.#groupOfKind.get(kind)
    if (group !== undefined) return group
    const { workloadId, labels } = kind
    const key = JSON.stringify([workloadId, keyOfLabels(labels)])
    group = this.#groups.get(key)
    if (group === undefined) {
      group = { workloadId, labels, rows: new Map(), watchedBy: [] }
      this.#groups.set(key, group)
      const siblings = this.#groupsByWorkload.get(workloadId)
      if (siblings === undefined) this.#groupsByWorkload.set(workloadId, new Set([group]))
      else siblings.add(group)
      for (const watched of this.#watched.values()) this.#watch(watched, group)
    }
    this.#groupOfKind.set(kind, group)
    return group
  }

  #watch(watched: Watched, group: Group): void {
    const { counted } = watched
    const matches =
      'workloadId' in counted
        ? group.workloadId === counted.workloadId
        : hasLabels(group.labels, counted.matchLabels)
    if (!matches) return
    group.watchedBy.push(watched)
    for (const [row, onRow] of group.rows) add(watched, row, onRow)
  }

  #repel(row: number, node: NodeView, affinity: Affinity, times: number): void {
    const { matchLabels, topologyKey } = affinity
    if (placeOf(node, topologyKey) === undefined) return
    const key = JSON.stringify([keyOfLabels(matchLabels), topologyKey])
    let repulsion = this.#repulsions.get(key)
    if (repulsion === undefined) {
      const column = this.#columns.column(placeFacet(topologyKey))
      repulsion = { matchLabels, column, counts: new Int32Array(column.size), total: 0 }
      this.#repulsions.set(key, repulsion)
      this.#epoch++
    }
    add(repulsion, row, times)
  }
}

function add(counts: PlaceCounts, row: number, times: number): void {
  const place = counts.column.ids[row]!
  if (place === absentId) return
  counts.total += times
  if (place >= counts.counts.length) {
    const wider = new Int32Array(Math.max(counts.column.size, counts.counts.length * 2))
    wider.set(counts.counts)
    counts.counts = wider
  }
  counts.counts[place]! += times
}

function keyOfCounted(counted: Counted): string {
  return 'workloadId' in counted ? `of ${counted.workloadId}` : keyOfLabels(counted.matchLabels)
}
