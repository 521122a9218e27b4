/**
 * What making room for one kind of replica would cost on every node, kept from one plan to the next.
 *
 * A row has first a bound, which is cheap: no way takes fewer victims. Only the rows with the least bound are looked at
 * closely, and only rows that changed since the last plan are bounded again. How many replicas of a workload may be
 * stopped is not noted as a change: where a workload's budget was the limit the row is looked at again once that budget
 * has grown; where it has shrunk, what is known is a bound still, and the row that is chosen is worked out anew.
 */
import { FactVerdicts } from '../fact-verdicts.ts'
import type { ReplicaKind, ScoreWeights } from '../model.ts'
import { accepted } from '../rejections.ts'
import { Survey } from '../survey.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { BestNode } from './best-node.ts'
import type { Occupants } from './occupants.ts'
import { PlaceTest } from './place-test.ts'
import { reservedAfter, Room, type Way } from './room.ts'
import {
  fewestVictims,
  fewestVictimsBound,
  isCheaper,
  type Sacrifice,
  type Toll,
  type VictimGroup,
} from './victim-search.ts'

/** What is to be done on one row. */
export interface Deal {
  readonly row: number
  readonly way: Way
  readonly sacrifice: Sacrifice
}

type SpareOf = (workloadId: string) => number

/** A budget that kept rows from costing less. */
interface Limit {
  /** The least it was when one of the rows was looked at. */
  spare: number
  readonly rows: Set<number>
}

/** Beyond it everything is looked at again rather than remembering more. */
const limitsMax = 65_536
/** Of a search in which the filters are asked each time. */
const placeStepsMax = 1_000
/** Nodes on which what runs elsewhere turned out to make it dearer than their own room does; then the best so far is taken. */
export const placeDealsMax = 256
const none = -1

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30

export class Tolls {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  readonly #facts: FactVerdicts
  readonly #survey: Survey
  readonly #room: Room
  readonly #places: PlaceTest
  readonly #best: BestNode
  readonly #limits = new Map<string, Limit>()
  /** Rows to be bounded again. */
  readonly #stale = new Set<number>()
  /** Changes seen so far; -1: none. */
  #position = -1
  #rows = 0
  /** By row: how many victims; a bound until the row is exact; -1: no number of them would do. */
  #counts = new Int32Array(0)
  #isExact = new Uint8Array(0)
  #highest = new Float64Array(0)
  #sums = new Float64Array(0)
  #merits = { scores: this.#highest, gpus: this.#highest, misfits: this.#highest }
  /** By row, for one plan: 0 not looked at, 1 could do, 2 could not. */
  #standing = new Uint8Array(0)
  #candidates = new Int32Array(0)

  /** `weights` are normalised. */
  constructor(table: ClusterTable, kind: ReplicaKind, weights: ScoreWeights, occupants: Occupants) {
    this.#table = table
    this.#kind = kind
    this.#facts = new FactVerdicts(kind, table)
    this.#survey = new Survey(table, kind, weights)
    this.#room = new Room(table, kind, occupants)
    this.#places = new PlaceTest(table, kind)
    this.#best = new BestNode(table, kind)
  }

  /** The cheapest way on the best node; undefined when there is none. */
  plan(
    excludedNodeIds: readonly string[],
    spareOf: SpareOf,
    onlyNodeId?: string,
  ): Deal | undefined {
    this.#refresh(spareOf)
    const arePlacesAsked = this.#places.begin()
    this.#stand(arePlacesAsked ? 0 : 1, excludedNodeIds, onlyNodeId)
    let best: Deal | undefined
    for (let dealsLeft = arePlacesAsked ? placeDealsMax : Infinity; dealsLeft > 0; dealsLeft--) {
      const row = this.#cheapest(spareOf)
      if (row === none) return undefined
      const deal = this.#dealAt(row, spareOf, arePlacesAsked)
      if (deal !== undefined && this.#isAsExpected(row, deal.sacrifice)) return deal
      if (deal && (!best || isCheaper(deal.sacrifice, best.sacrifice))) best = deal
      this.#note(row, deal?.way, deal?.sacrifice)
      // What runs elsewhere is asked again each time.
      if (arePlacesAsked) this.#stale.add(row)
    }
    return best
  }

  #stand(open: number, excludedNodeIds: readonly string[], onlyNodeId: string | undefined): void {
    const set = (nodeId: string, standing: number): void => {
      const row = this.#table.rowOf(nodeId)
      if (row !== undefined) this.#standing[row] = standing
    }
    this.#standing.fill(onlyNodeId === undefined ? open : 2)
    if (onlyNodeId !== undefined) set(onlyNodeId, open)
    for (const nodeId of excludedNodeIds) set(nodeId, 2)
  }

  #refresh(spareOf: SpareOf): void {
    const { journal, rowCount } = this.#table
    const stale = this.#stale
    this.#facts.refresh()
    for (const [workloadId, { spare, rows }] of this.#limits) {
      if (spareOf(workloadId) <= spare) continue
      for (const row of rows) stale.add(row)
      this.#limits.delete(workloadId)
    }
    const isNew = this.#position < 0 || this.#limits.size > limitsMax
    if (isNew || !journal.since(this.#position, (row) => stale.add(row))) this.#forget()
    if (this.#counts.length < rowCount) this.#grow(rowCount)
    for (; this.#rows < rowCount; this.#rows++) stale.add(this.#rows)
    for (const row of stale) this.#bound(row)
    stale.clear()
    this.#position = journal.position
  }

  #forget(): void {
    this.#rows = 0
    this.#limits.clear()
  }

  #grow(rowCount: number): void {
    const length = 2 ** Math.ceil(Math.log2(rowCount))
    this.#rows = 0
    this.#counts = new Int32Array(length)
    this.#isExact = new Uint8Array(length)
    this.#standing = new Uint8Array(length)
    this.#candidates = new Int32Array(length)
    this.#highest = new Float64Array(length)
    this.#sums = new Float64Array(length)
    const column = (): Float64Array<ArrayBuffer> => new Float64Array(length)
    this.#merits = { scores: column(), gpus: column(), misfits: column() }
  }

  #bound(row: number): void {
    const isOpen = this.#table.nodeAt(row) !== undefined && this.#facts.codeOf(row) === accepted
    const way = isOpen ? this.#room.wayAt(row) : undefined
    this.#counts[row] = way === undefined ? none : fewestVictimsBound(way.groups, way.lacking)
    this.#isExact[row] = 0
  }

  /** The row to take by what is known of each. */
  #cheapest(spareOf: SpareOf): number {
    for (;;) {
      const count = this.#leastCount()
      if (count === none) return none
      for (let row = 0; row < this.#rows; row++) {
        if (this.#counts[row] !== count || this.#isExact[row] === 1 || !this.#couldDo(row)) continue
        this.#lookClosely(row, spareOf)
      }
      const kept = this.#keepLowestPriorities(count)
      if (kept > 0) return this.#best.of(this.#candidates, kept, this.#merits)
    }
  }

  #leastCount(): number {
    let least = none
    for (let row = 0; row < this.#rows; row++) {
      const count = this.#counts[row]!
      if (count >= 0 && (count < least || least === none) && this.#couldDo(row)) least = count
    }
    return least
  }

  /** Of the rows that cost so many, those with the lowest priorities become the candidates; how many there are. */
  #keepLowestPriorities(count: number): number {
    const candidates = this.#candidates
    let [highest, sum, kept] = [Infinity, Infinity, 0]
    for (let row = 0; row < this.#rows; row++) {
      if (this.#counts[row] !== count || !this.#couldDo(row)) continue
      const rowHighest = this.#highest[row]!
      const rowSum = this.#sums[row]!
      if (rowHighest > highest || (rowHighest === highest && rowSum > sum)) continue
      if (rowHighest < highest || rowSum < sum) {
        highest = rowHighest
        sum = rowSum
        kept = 0
      }
      candidates[kept++] = row
    }
    return kept
  }

  #couldDo(row: number): boolean {
    if (this.#standing[row] === 0) {
      this.#standing[row] = this.#places.couldDo(row, () => this.#room.wayAt(row)) ? 1 : 2
    }
    return this.#standing[row] === 1
  }

  /** As far as the row's own room goes. */
  #lookClosely(row: number, spareOf: SpareOf): void {
    const way = this.#room.wayAt(row)!
    const [only, ...others] = way.groups
    const count = this.#counts[row]!
    const sacrifice =
      only !== undefined && others.length === 0
        ? sacrificeOf(only, count, spareOf)
        : fewestVictims(way.groups, way.lacking, { spareOf })
    this.#note(row, way, sacrifice)
    this.#noteLimits(row, way, spareOf)
  }

  #note(row: number, way: Way | undefined, sacrifice: Sacrifice | undefined): void {
    this.#isExact[row] = 1
    this.#counts[row] = sacrifice === undefined ? none : sacrifice.count
    if (way === undefined || sacrifice === undefined) return
    this.#highest[row] = sacrifice.highest
    this.#sums[row] = sacrifice.sum
    const { scores, gpus, misfits } = this.#merits
    const { allocatable } = this.#table.resources
    const reserved = (name: keyof typeof allocatable): number =>
      reservedAfter(this.#table, row, name, way, sacrifice.taken)
    const [cpu, memory] = [reserved('cpuMillis'), reserved('memoryBytes')]
    const left =
      allocatable.cpuMillis[row]! -
      cpu +
      (allocatable.memoryBytes[row]! - memory) / mebibyte +
      (allocatable.storageBytes[row]! - reserved('storageBytes')) / gibibyte
    scores[row] = this.#survey.scoreBeside(row, cpu, memory, reserved('bandwidthBps'))
    const gpuCount = allocatable.gpuCount[row]!
    gpus[row] = gpuCount === 0 ? 0 : gpuCount - reserved('gpuCount')
    misfits[row] = this.#kind.packing === 'spread' ? -left : left
  }

  #noteLimits(row: number, { groups }: Way, spareOf: SpareOf): void {
    const sizes = new Map<string, number>()
    for (const { workloadId, size } of groups) {
      sizes.set(workloadId, (sizes.get(workloadId) ?? 0) + size)
    }
    for (const [workloadId, size] of sizes) {
      const spare = spareOf(workloadId)
      if (spare >= size) continue
      const limit = this.#limits.get(workloadId)
      if (limit === undefined) this.#limits.set(workloadId, { spare, rows: new Set([row]) })
      else {
        limit.rows.add(row)
        limit.spare = Math.min(limit.spare, spare)
      }
    }
  }

  #dealAt(row: number, spareOf: SpareOf, arePlacesAsked: boolean): Deal | undefined {
    const known = this.#room.wayAt(row)!
    const way = arePlacesAsked ? this.#places.withMandatory(row, known) : known
    if (way === undefined) return undefined
    this.#noteLimits(row, way, spareOf)
    const accepts = (taken: readonly number[]): boolean => this.#places.accepts(row, way, taken)
    const sacrifice = fewestVictims(way.groups, way.lacking, {
      spareOf,
      ...(arePlacesAsked ? { accepts, stepsMax: placeStepsMax } : {}),
    })
    return sacrifice === undefined ? undefined : { row, way, sacrifice }
  }

  #isAsExpected(row: number, { count, highest, sum }: Toll): boolean {
    return count === this.#counts[row] && highest === this.#highest[row] && sum === this.#sums[row]
  }
}

/** Where all who could go are alike, the bound is the answer. */
function sacrificeOf(
  { priority, workloadId }: VictimGroup,
  count: number,
  spareOf: SpareOf,
): Sacrifice | undefined {
  if (count === 0) return { count, highest: -Infinity, sum: 0, taken: [0] }
  if (spareOf(workloadId) < count) return undefined
  return { count, highest: priority, sum: count * priority, taken: [count] }
}
