/**
 * The nodes in the order of one kind's choice, kept from one decision to the next: of a thousand replicas of a kind each
 * costs what changed since the one before, and not a walk over all nodes.
 *
 * For kinds that ask for nothing about what is elsewhere: what is thought of a row then changes only with the row. The
 * rows of each place are cut into blocks, with a binary tree above them. Every knot of it knows, of the rows below that
 * are accepted and have the fewest replicas of the workload: how many that is, the best score, and the best fit.
 *
 * Invariant: after `refresh`, `pick` returns the row that a walk over all rows would find.
 */
import type { Fit } from './fit.ts'
import { accepted } from './rejections.ts'
import { clamp } from './scores/clamp.ts'
import type { Survey } from './survey.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import { countAt, type PlaceCounts } from './table/place-counts.ts'

export interface RankingDeps {
  readonly table: ClusterTable
  /** Refreshed before the ranking is. */
  readonly survey: Survey
  readonly fit: Fit
  /** The workload's replicas by place and by node, where they are to be spread. */
  readonly spread: { readonly places: PlaceCounts; readonly nodes: PlaceCounts } | undefined
  /** How much less than the best score is as good. */
  readonly tolerance: number
}

/** Rows in a block: one that changed costs a look at its neighbours, a larger tree costs memory. */
const blockRows = 16
const none = 2 ** 31 - 1

/** A place; all nodes where nothing is to be spread, or over nodes, which the counts by node answer. */
interface Group {
  readonly place: number
  /** Rows, cut into blocks. */
  readonly rows: Int32Array
  /** A power of two; block n is knot `blocks + n`, the root is knot 1. */
  readonly blocks: number
  readonly fewest: Int32Array
  readonly scoreMax: Float64Array
  /** A row; -1 without an accepted one. */
  readonly best: Int32Array
}

export class Ranking {
  readonly #deps: RankingDeps
  readonly #groups: readonly Group[]
  readonly #groupByRow: Int32Array
  readonly #positionByRow: Int32Array
  #names: Int32Array
  #position: number

  /** Good until what nodes are changes, or the counts no longer follow: then it is made anew. */
  constructor(deps: RankingDeps) {
    const { table, spread } = deps
    this.#deps = deps
    this.#names = table.nameRanks()
    this.#position = table.journal.position
    this.#groupByRow = new Int32Array(table.rowCount).fill(-1)
    this.#positionByRow = new Int32Array(table.rowCount)
    const isByPlace = spread !== undefined && spread.places !== spread.nodes
    const rowsByPlace = new Map<number, number[]>()
    for (let row = 0; row < table.rowCount; row++) {
      if (table.nodeAt(row) === undefined) continue
      const place = isByPlace ? spread.places.column.ids[row]! : 0
      const rows = rowsByPlace.get(place)
      if (rows === undefined) rowsByPlace.set(place, [row])
      else rows.push(row)
    }
    this.#groups = [...rowsByPlace].map(([place, rows], n) => this.#makeGroup(n, place, rows))
  }

  /** Brings it up to the table as it is now. False when it cannot be, and is to be made anew. */
  refresh(): boolean {
    const { journal, rowCount } = this.#deps.table
    if (rowCount !== this.#groupByRow.length) return false
    if (journal.position - this.#position > rowCount) return false
    this.#names = this.#deps.table.nameRanks()
    const dirty = new Set<number>()
    const isKnown = journal.since(this.#position, (row) => dirty.add(row))
    if (!isKnown) return false
    this.#position = journal.position
    for (const row of dirty) this.#follow(row)
    return true
  }

  /** The row to take; -1 when none will do. */
  pick(): number {
    const { spread, tolerance } = this.#deps
    let fewestInPlace = none
    let fewestOnNode = none
    let scoreMax = 0
    for (const { place, fewest, scoreMax: scores } of this.#groups) {
      if (fewest[1] === none) continue
      const inPlace = this.#inPlace(place)
      const isWorse = inPlace > fewestInPlace
      if (isWorse || (inPlace === fewestInPlace && fewest[1]! > fewestOnNode)) continue
      if (inPlace < fewestInPlace || fewest[1]! < fewestOnNode) scoreMax = 0
      fewestInPlace = inPlace
      fewestOnNode = fewest[1]!
      scoreMax = Math.max(scoreMax, scores[1]!)
    }
    let best = -1
    for (const group of this.#groups) {
      if (spread !== undefined && this.#inPlace(group.place) !== fewestInPlace) continue
      best = this.#bestOf(group, 1, { fewestOnNode, scoreMin: scoreMax - tolerance }, best)
    }
    return best
  }

  scoreAt(row: number): number {
    return clamp(this.#deps.survey.scores[row]!)
  }

  #inPlace(place: number): number {
    const { spread } = this.#deps
    return spread === undefined || spread.places === spread.nodes
      ? 0
      : (spread.places.counts[place] ?? 0)
  }

  #makeGroup(index: number, place: number, rows: readonly number[]): Group {
    const blocks = 2 ** Math.ceil(Math.log2(Math.ceil(rows.length / blockRows)))
    const group: Group = {
      place,
      rows: Int32Array.from(rows),
      blocks,
      fewest: new Int32Array(2 * blocks).fill(none),
      scoreMax: new Float64Array(2 * blocks),
      best: new Int32Array(2 * blocks).fill(-1),
    }
    rows.forEach((row, position) => {
      this.#groupByRow[row] = index
      this.#positionByRow[row] = position
    })
    for (let block = 0; block * blockRows < rows.length; block++) this.#lookAt(group, block)
    for (let knot = blocks - 1; knot > 0; knot--) this.#merge(group, knot)
    return group
  }

  #follow(row: number): void {
    const group = this.#groups[this.#groupByRow[row]!]
    if (group === undefined) return
    const block = Math.floor(this.#positionByRow[row]! / blockRows)
    this.#lookAt(group, block)
    for (let knot = (group.blocks + block) >> 1; knot > 0; knot >>= 1) this.#merge(group, knot)
  }

  /** Works out a block from its rows. */
  #lookAt({ rows, blocks, fewest, scoreMax, best }: Group, block: number): void {
    const { survey, fit, spread } = this.#deps
    let [fewestOnNode, score, first] = [none, 0, -1]
    const end = Math.min(rows.length, (block + 1) * blockRows)
    for (let at = block * blockRows; at < end; at++) {
      const row = rows[at]!
      if (survey.verdicts[row] !== accepted) continue
      const onNode = spread === undefined ? 0 : countAt(spread.nodes, row)
      if (onNode > fewestOnNode) continue
      if (onNode < fewestOnNode) [fewestOnNode, score, first] = [onNode, 0, -1]
      score = Math.max(score, this.scoreAt(row))
      if (first < 0 || fit.isBetter(row, first, this.#names)) first = row
    }
    const knot = blocks + block
    fewest[knot] = fewestOnNode
    scoreMax[knot] = score
    best[knot] = first
  }

  /** Works out a knot from the two below it. */
  #merge({ fewest, scoreMax, best }: Group, knot: number): void {
    const [left, right] = [2 * knot, 2 * knot + 1]
    let winner = fewest[right]! < fewest[left]! ? right : left
    scoreMax[knot] = scoreMax[winner]!
    if (fewest[left] === fewest[right] && best[right]! >= 0) {
      scoreMax[knot] = Math.max(scoreMax[left]!, scoreMax[right]!)
      if (this.#deps.fit.isBetter(best[right]!, best[left]!, this.#names)) winner = right
    }
    fewest[knot] = fewest[winner]!
    best[knot] = best[winner]!
  }

  /** The better of `best` and the best below the knot that is good enough; -1 stands for none. */
  #bestOf(group: Group, knot: number, wanted: Wanted, best: number): number {
    const first = group.best[knot]!
    if (group.fewest[knot] !== wanted.fewestOnNode || first < 0) return best
    if (group.scoreMax[knot]! < wanted.scoreMin || !this.#isBetter(first, best)) return best
    if (this.scoreAt(first) >= wanted.scoreMin) return first
    if (knot >= group.blocks) return this.#bestInBlock(group, knot - group.blocks, wanted, best)
    const left = this.#bestOf(group, 2 * knot, wanted, best)
    return this.#bestOf(group, 2 * knot + 1, wanted, left)
  }

  #bestInBlock({ rows }: Group, block: number, wanted: Wanted, best: number): number {
    const { survey, spread } = this.#deps
    const end = Math.min(rows.length, (block + 1) * blockRows)
    for (let at = block * blockRows; at < end; at++) {
      const row = rows[at]!
      if (survey.verdicts[row] !== accepted || this.scoreAt(row) < wanted.scoreMin) continue
      if (spread !== undefined && countAt(spread.nodes, row) !== wanted.fewestOnNode) continue
      if (this.#isBetter(row, best)) best = row
    }
    return best
  }

  #isBetter(row: number, best: number): boolean {
    return best < 0 || this.#deps.fit.isBetter(row, best, this.#names)
  }
}

interface Wanted {
  readonly fewestOnNode: number
  readonly scoreMin: number
}
