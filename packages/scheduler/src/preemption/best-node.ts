/**
 * The best of nodes that cost the same, by the usual choice: the place with the fewest replicas of the workload, then the
 * best score, then the best fit, then the name. Scores and fit are those beside what would be left once the victims are
 * gone; what runs elsewhere is taken as it is now.
 */
import { scoreTolerance } from '../choice.ts'
import type { ReplicaKind } from '../model.ts'
import { preferencesOf } from '../preferences.ts'
import { clamp } from '../scores/clamp.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import type { PlaceCounts } from '../table/replica-counts.ts'

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

  constructor(table: ClusterTable, kind: ReplicaKind) {
    this.#table = table
    this.#kind = kind
  }

  /** `rows` are not empty, and used up. */
  of(rows: number[], merits: Merits): number {
    if (rows.length === 1) return rows[0]!
    this.#prepare()
    for (const counts of this.#spread) keepLeast(rows, (row) => countAt(counts, row))
    if (this.#kind.packing !== 'best_fit') {
      const preferences = this.#preferences
      const minus = (row: number): number =>
        -clamp(merits.scores[row]! + (preferences === undefined ? 0 : preferences(row)))
      keepLeast(rows, minus, scoreTolerance + noise)
    }
    keepLeast(rows, (row) => merits.gpus[row]!)
    keepLeast(rows, (row) => merits.misfits[row]!, noise)
    const names = this.#table.nameRanks()
    keepLeast(rows, (row) => names[row]!)
    return rows[0]!
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

/** Drops the rows that are more than `tolerance` above the least. */
function keepLeast(rows: number[], valueOf: (row: number) => number, tolerance = 0): void {
  if (rows.length === 1) return
  let least = Infinity
  for (const row of rows) {
    const value = valueOf(row)
    if (value < least) least = value
  }
  let kept = 0
  for (const row of rows) if (valueOf(row) <= least + tolerance) rows[kept++] = row
  rows.length = kept
}

function countAt({ counts, column }: PlaceCounts, row: number): number {
  return counts[column.ids[row]!] ?? 0
}
