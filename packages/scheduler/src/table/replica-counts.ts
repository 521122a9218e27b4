/**
 * How many replicas of which kind are in which place: what affinity, anti-affinity and spread ask for every node.
 *
 * The truth is one small map a group of replicas: how many are on which row. What was asked for is kept beside it as a
 * column of counts by place, and follows each change, so that asking again costs a lookup and no walk over replicas.
 */
import { keyOfLabels } from '../labels.ts'
import type { Labels, NodeView, ReplicaKind } from '../model.ts'
import type { ColumnSource } from './columns.ts'
import { placeFacet, type FacetColumn } from './facet.ts'
import { BearerIndex, SelectorIndex } from './label-index.ts'
import { addToPlace, type PlaceCounts } from './place-counts.ts'
import { Repulsions } from './repulsions.ts'

export type { PlaceCounts } from './place-counts.ts'

/** Which replicas are counted. */
export type Counted = { readonly workloadId: string } | { readonly matchLabels: Labels }

interface Group {
  readonly workloadId: string
  readonly labels: Labels
  /** Row to number of replicas. */
  readonly rows: Map<number, number>
  readonly watchedBy: Watched[]
}

interface Watched extends PlaceCounts {
  readonly topologyKey: string
}

/** Of all counts that are watched, 4 bytes each; beyond it they are forgotten together and worked out as they are asked for. */
const cellsMax = 8_000_000
const watchedMax = 10_000

export class ReplicaCounts {
  readonly #columns: ColumnSource
  readonly #groups = new Map<string, Group>()
  readonly #groupsByWorkload = new Map<string, Set<Group>>()
  readonly #groupsByLabel = new BearerIndex<Group>()
  #groupOfKind = new WeakMap<ReplicaKind, Group>()
  readonly #watched = new Map<string, Watched>()
  readonly #watchedByWorkload = new Map<string, Watched[]>()
  readonly #watchedBySelector = new SelectorIndex<Watched>()
  /** By topology key: what was used for counts that were forgotten, to be used again. */
  readonly #spare = new Map<string, Int32Array[]>()
  readonly #repulsions: Repulsions
  #epoch = 0
  #cells = 0
  /** Of groups and repulsions, when they are next looked through for those that nothing is left of. */
  #tidiedAbove = 1_024

  constructor(columns: ColumnSource) {
    this.#columns = columns
    this.#repulsions = new Repulsions(columns)
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
    for (const watched of group.watchedBy) addToPlace(watched, row, times)
    for (const affinity of kind.antiAffinity) {
      if (!affinity.required || affinity.subject !== 'workload') continue
      if (this.#repulsions.count(row, node, affinity, times)) this.#epoch++
    }
  }

  /** Follows the table until `epoch` changes. */
  countsOf(counted: Counted, topologyKey: string): PlaceCounts {
    const key = JSON.stringify([keyOfCounted(counted), topologyKey])
    const known = this.#watched.get(key)
    if (known !== undefined) return known
    const watched = this.#zeros(topologyKey, this.#columns.column(placeFacet(topologyKey)))
    this.#watched.set(key, watched)
    if ('workloadId' in counted) {
      pushTo(this.#watchedByWorkload, counted.workloadId, watched)
      for (const group of this.#groupsByWorkload.get(counted.workloadId) ?? [])
        watch(watched, group)
    } else {
      this.#watchedBySelector.add(counted.matchLabels, watched)
      for (const group of this.#groupsByLabel.having(counted.matchLabels)) watch(watched, group)
    }
    return watched
  }

  /** To be called before asking, and not between: what was handed out may be forgotten when there is much of it. */
  makeRoom(): void {
    if (this.#cells > cellsMax || this.#watched.size > watchedMax) this.#forgetWatched()
  }

  /** Where something is that wants nothing with these labels near. Follows the table until `epoch` changes. */
  repulsionsOf(labels: Labels): readonly PlaceCounts[] {
    return this.#repulsions.of(labels).map((repulsion) => {
      if (repulsion.watched !== undefined) return repulsion.watched
      const { topologyKey, column, places } = repulsion
      const watched = this.#zeros(topologyKey, column)
      for (const [place, inPlace] of places) {
        watched.counts[place] = inPlace
        watched.total += inPlace
      }
      this.#watched.set(`against ${this.#watched.size}`, watched)
      repulsion.watched = watched
      return watched
    })
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
    this.#repulsions.tidy()
    this.#groupOfKind = new WeakMap()
    this.#tidiedAbove = 2 * (this.#groups.size + this.#repulsions.size) + 1_024
    this.#epoch++
  }

  #drop(key: string, group: Group): void {
    this.#groups.delete(key)
    this.#groupsByLabel.remove(group.labels, group)
    const siblings = this.#groupsByWorkload.get(group.workloadId)
    siblings?.delete(group)
    if (siblings?.size === 0) this.#groupsByWorkload.delete(group.workloadId)
  }

  #forgetWatched(): void {
    for (const { topologyKey, counts } of this.#watched.values()) {
      pushTo(this.#spare, topologyKey, counts)
    }
    this.#watched.clear()
    this.#watchedByWorkload.clear()
    this.#watchedBySelector.clear()
    this.#repulsions.forgetWatched()
    this.#cells = 0
    for (const group of this.#groups.values()) group.watchedBy.length = 0
    this.#epoch++
  }

  /** Over all places, with memory of what was forgotten where there is any. */
  #zeros(topologyKey: string, column: FacetColumn): Watched {
    const { size } = column
    this.#cells += size
    const spare = this.#spare.get(topologyKey)?.pop()
    const isEnough = spare !== undefined && spare.length >= size
    const counts = isEnough ? spare.fill(0) : new Int32Array(size)
    return { topologyKey, column, counts, total: 0 }
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
      this.#groupsByLabel.add(labels, group)
      const siblings = this.#groupsByWorkload.get(workloadId)
      if (siblings === undefined) this.#groupsByWorkload.set(workloadId, new Set([group]))
      else siblings.add(group)
      for (const watched of this.#watchedByWorkload.get(workloadId) ?? []) watch(watched, group)
      for (const watched of this.#watchedBySelector.contentWith(labels)) watch(watched, group)
    }
    this.#groupOfKind.set(kind, group)
    return group
  }
}

/** From now on the group is counted. */
function watch(watched: Watched, group: Group): void {
  group.watchedBy.push(watched)
  group.rows.forEach((onRow, row) => addToPlace(watched, row, onRow))
}

function keyOfCounted(counted: Counted): string {
  return 'workloadId' in counted ? `of ${counted.workloadId}` : keyOfLabels(counted.matchLabels)
}

function pushTo<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
