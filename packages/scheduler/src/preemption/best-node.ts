/**
 * The best of nodes that cost the same, by the usual choice: the place with the fewest replicas of the workload, then the
 * best score, then the best fit, then the name. Scores and fit are those beside what would be left once the victims are
 * gone; what runs elsewhere is taken as it is now.
 */
import type { ReplicaKind } from '../model.ts'
import { preferencesOf } from '../preferences.ts'
import { clamp } from '../scores/clamp.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { countAt, type PlaceCounts } from '../table/place-counts.ts'
import { toleranceOf } from '../tolerance.ts'

/** Scores nearer to each other than this are equal: the rest is the noise of adding fractions. */
const noise = 1e-9

/** By row. */
export interface Merits {
  readonly scores: Float64Array
  /** GPUs left over. */
  readonly gpus: Float64Array
  /** What would be left of the node; the least is taken. */
  readonly misfits: Float64Array
}

export class BestNode {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  #factsEpoch = -1
  #countsEpoch = -1
  #preferences: ((row: number) => number) | undefined
  /** The workload's replicas by place and by node, where they are to be spread; the places come first. */
  #spread: readonly PlaceCounts[] = []
  /** Of the rows that are compared. */
  #scores = new Float64Array(0)

  constructor(table: ClusterTable, kind: ReplicaKind) {
    this.#table = table
    this.#kind = kind
  }

  /** Of the first `count` of the rows, which are used up; there is one at least. */
  of(rows: Int32Array, count: number, merits: Merits): number {
    if (count === 1) return rows[0]!
    this.#prepare()
    let left = count
    for (const counts of this.#spread) left = keepFewest(rows, left, counts)
    const leastScore = this.#leastScore(rows, left, merits)
    const names = this.#table.nameRanks()
    const { gpus, misfits } = merits
    let best = -1
    for (let at = 0; at < left; at++) {
      const row = rows[at]!
      if (this.#scores[at]! < leastScore) continue
      if (best >= 0) {
        const stranded = gpus[row]! - gpus[best]!
        const worse = misfits[row]! - misfits[best]!
        if (stranded > 0 || (stranded === 0 && worse > noise)) continue
        if (stranded === 0 && worse >= -noise && names[row]! > names[best]!) continue
      }
      best = row
    }
    return best
  }

  /** Notes the score of each with its wishes; those below what is returned are worse than the best. */
  #leastScore(rows: Int32Array, count: number, merits: Merits): number {
    if (this.#scores.length < count) this.#scores = new Float64Array(rows.length)
    const preferences = this.#preferences
    let most = 0
    for (let at = 0; at < count; at++) {
      const row = rows[at]!
      const score = clamp(merits.scores[row]! + (preferences === undefined ? 0 : preferences(row)))
      this.#scores[at] = score
      if (score > most) most = score
    }
    return most - toleranceOf(this.#kind) - noise
  }

  #prepare(): void {
    const { counts, factsEpoch } = this.#table
    if (this.#factsEpoch === factsEpoch && this.#countsEpoch === counts.epoch) return
    const { workloadId, spreadTopology } = this.#kind
    this.#preferences = preferencesOf(this.#kind, this.#table)
    this.#spread =
      spreadTopology === ''
        ? []
        : [spreadTopology, 'node'].map((key) => counts.countsOf({ workloadId }, key))
    this.#factsEpoch = this.#table.factsEpoch
    this.#countsEpoch = counts.epoch
  }
}

/** Drops the rows of all places but those with the fewest; how many are left. */
function keepFewest(rows: Int32Array, count: number, places: PlaceCounts): number {
  let fewest = Infinity
  let kept = 0
  for (let at = 0; at < count; at++) {
    const row = rows[at]!
    const inPlace = countAt(places, row)
    if (inPlace > fewest) continue
    if (inPlace < fewest) {
      fewest = inPlace
      kept = 0
    }
    rows[kept++] = row
  }
  return kept
}
