/**
 * Choosing a node for one replica: among those that pass every filter, the place with the fewest replicas of its
 * workload (where it is to be spread), then the best score, then the best fit, then the name.
 *
 * Scores near to the best (tolerance.ts) are as good: among such nodes the packing decides (fit.ts). `binpack` takes the
 * one it fills most, so that large holes stay for large replicas; `best_fit` does so whatever the scores; `spread` takes
 * the emptiest. Where there are GPUs they come first: fewest are to be left that nobody can use.
 */
import { boundRejection, excludedRejection, placeFilters } from './filters/all-filters.ts'
import type { PlaceCheck } from './filters/filter.ts'
import type { PendingReplica, ReplicaKind, ScoreWeights } from './model.ts'
import { Fit } from './fit.ts'
import { preferencesOf } from './preferences.ts'
import { Ranking } from './ranking.ts'
import { accepted } from './rejections.ts'
import { clamp } from './scores/clamp.ts'
import { Survey } from './survey.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import { toleranceOf } from './tolerance.ts'
import { countAt, type PlaceCounts } from './table/place-counts.ts'

/** Scores nearer than the tolerance are as good, and a little more for the noise of adding fractions. */
const noise = 1e-9
/** Decisions of a kind, one after another, before it is worth a ranking. */
const decisionsUnranked = 2

const none = 2 ** 31 - 1

interface NamedCheck extends PlaceCheck {
  readonly filter: string
}

export type SchedulePhase = 'filter' | 'score'

/** Does a piece of the work, for whoever times it. */
export type Around = <Result>(phase: SchedulePhase, work: () => Result) => Result

const doOnly: Around = (_, work) => work()

/** One kind's view of the table, ready for decisions as long as it is refreshed before each. */
export class Choice {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  readonly #survey: Survey
  /** What the checks below were made for. */
  #factsEpoch = -1
  #countsEpoch = -1
  #checks: readonly NamedCheck[] = []
  #preferences: ((row: number) => number) | undefined
  /** The workload's replicas by place and by node, where they are to be spread. */
  #spread: { readonly places: PlaceCounts; readonly nodes: PlaceCounts } | undefined
  /** By row, where feasible: the score with everything. */
  #scores = new Float64Array(0)
  /** By row: the verdict with everything. */
  #verdicts = new Uint16Array(0)
  #scoreMax = 0
  #fewestInPlace = 0
  #fewestOnNode = 0
  readonly #fit: Fit
  /** How much less than the best score is as good. */
  readonly #tolerance: number
  #ranking: Ranking | undefined
  /** Since it was prepared. */
  #decisions = 0

  /** `weights` are normalised. `retired` is not used any more: its memory is taken over. */
  constructor(table: ClusterTable, kind: ReplicaKind, weights: ScoreWeights, retired?: Choice) {
    this.#table = table
    this.#kind = kind
    this.#survey = new Survey(table, kind, weights, retired && retired.#survey)
    this.#fit = new Fit(table, kind)
    this.#tolerance = toleranceOf(kind) + noise
    if (retired === undefined) return
    this.#verdicts = retired.#verdicts
    this.#scores = retired.#scores
  }

  /** As `choose`; what was thought of each row can be asked until the next call. */
  chooseAmongAll(replica: PendingReplica): number {
    this.judge(replica)
    return this.#pick()
  }

  /** The row of the node to take; -1 when none will do: only then can be asked what was thought of the other rows. */
  choose(replica: PendingReplica, around: Around = doOnly): number {
    const ranking = around(
      'filter',
      () => this.#rank(replica) ?? this.#judge(replica, { butWhatCannotWin: true }),
    )
    const row = around('score', () => ranking?.pick() ?? this.#pick())
    if (ranking !== undefined && row < 0) around('filter', () => this.#judge(replica))
    if (ranking !== undefined && row >= 0) this.#scores[row] = ranking.scoreAt(row)
    return row
  }

  /** The row of the only node it may go to; -1 when that will not do: then can be asked why, of this row alone. */
  chooseBound(replica: PendingReplica, row: number): number {
    const code = this.judgeRow(row, replica)
    this.#verdicts[row] = code
    if (code !== accepted) return -1
    const wishes = this.#preferences?.(row) ?? 0
    this.#scores[row] = clamp(this.#survey.scores[row]! + wishes)
    return row
  }

  /** Only works out what is thought of each row. */
  judge(replica: PendingReplica): void {
    this.#refresh()
    this.#judge(replica)
  }

  /** What is thought of one row, without looking at the others. */
  judgeRow(row: number, { excludedNodeIds, boundNodeId }: PendingReplica): number {
    this.#refresh()
    const { codes } = this.#table
    const { id } = this.#table.nodeAt(row)!
    if (boundNodeId !== undefined && boundNodeId !== id) return this.#boundCode()
    const surveyed = this.#survey.verdicts[row]!
    if (surveyed !== accepted) return surveyed
    if (excludedNodeIds.includes(id)) return this.#excludedCode()
    for (const { filter, reject } of this.#checks) {
      const reason = reject(row)
      if (reason !== undefined) return codes.codeOf(filter, reason)
    }
    return accepted
  }

  /** A code of the table's rejections. */
  verdictAt(row: number): number {
    return this.#verdicts[row]!
  }

  /** 0 to 1, of a row that was accepted. */
  scoreAt(row: number): number {
    return this.#scores[row]!
  }

  /** -1 to 1. */
  preferenceAt(row: number): number {
    return this.#preferences?.(row) ?? 0
  }

  /** Replicas of the workload in the row's place, for its spread topology. */
  replicasInPlaceAt(row: number): number {
    return this.#spread === undefined ? 0 : countAt(this.#spread.places, row)
  }

  /** Undefined when all rows must be looked at: for what looks at what is elsewhere, and for kinds that are seldom asked for. */
  #rank({ excludedNodeIds }: PendingReplica): Ranking | undefined {
    this.#refresh()
    const isOfRow = this.#checks.length === 0 && this.#preferences === undefined
    if (!isOfRow || excludedNodeIds.length > 0 || ++this.#decisions <= decisionsUnranked) return
    if (this.#ranking?.refresh()) return this.#ranking
    this.#ranking = new Ranking({
      table: this.#table,
      survey: this.#survey,
      fit: this.#fit,
      spread: this.#spread,
      tolerance: this.#tolerance,
    })
    return this.#ranking
  }

  #refresh(): void {
    const { factsEpoch, counts, rowCount } = this.#table
    this.#survey.refresh()
    if (this.#factsEpoch !== factsEpoch || this.#countsEpoch !== counts.epoch) this.#prepare()
    if (this.#verdicts.length < rowCount) {
      this.#verdicts = new Uint16Array(this.#survey.verdicts.length)
      this.#scores = new Float64Array(this.#survey.verdicts.length)
    }
    for (const check of this.#checks) check.begin?.()
  }

  #prepare(): void {
    this.#ranking = undefined
    this.#decisions = 0
    const { spreadTopology, workloadId } = this.#kind
    const { counts } = this.#table
    counts.makeRoom()
    this.#checks = placeFilters.flatMap(({ name, check }) => {
      const asked = check(this.#kind, this.#table)
      return asked === undefined ? [] : [{ filter: name, ...asked }]
    })
    this.#preferences = preferencesOf(this.#kind, this.#table)
    this.#spread =
      spreadTopology === ''
        ? undefined
        : {
            nodes: counts.countsOf({ workloadId }, 'node'),
            places: counts.countsOf({ workloadId }, spreadTopology),
          }
    // Asking may have made new columns and counts; what was just asked for follows them.
    this.#factsEpoch = this.#table.factsEpoch
    this.#countsEpoch = this.#table.counts.epoch
  }

  /**
   * Fills in the verdicts and scores, and notes the best of each measure. Rows in places with more replicas than another
   * has may be left out: then their verdicts and scores mean nothing, unless no row will do.
   */
  #judge(replica: PendingReplica, { butWhatCannotWin = false } = {}): undefined {
    const { excludedNodeIds, boundNodeId } = replica
    const { rowCount } = this.#table
    const { verdicts: surveyed, scores: base } = this.#survey
    const verdicts = this.#verdicts
    const scores = this.#scores
    const preferences = this.#preferences
    const spread = this.#spread
    const isChecked = this.#checks.length > 0
    verdicts.set(surveyed.subarray(0, rowCount))
    this.#exclude(excludedNodeIds)
    if (boundNodeId !== undefined) this.#excludeAllBut(boundNodeId)
    let fewestInPlace = none
    let fewestOnNode = none
    let scoreMax = 0
    for (let row = 0; row < rowCount; row++) {
      if (verdicts[row] !== accepted) continue
      const inPlace = spread === undefined ? 0 : countAt(spread.places, row)
      const onNode = spread === undefined ? 0 : countAt(spread.nodes, row)
      const isWorse =
        inPlace > fewestInPlace || (inPlace === fewestInPlace && onNode > fewestOnNode)
      if (isWorse && butWhatCannotWin) continue
      if (isChecked && !this.#passes(row)) continue
      const wishes = preferences === undefined ? 0 : preferences(row)
      const score = clamp(base[row]! + wishes)
      scores[row] = score
      if (isWorse) continue
      if (inPlace < fewestInPlace || onNode < fewestOnNode) {
        fewestInPlace = inPlace
        fewestOnNode = onNode
        scoreMax = 0
      }
      if (score > scoreMax) scoreMax = score
    }
    this.#fewestInPlace = fewestInPlace
    this.#fewestOnNode = fewestOnNode
    this.#scoreMax = scoreMax
  }

  #exclude(nodeIds: readonly string[]): void {
    for (const nodeId of nodeIds) {
      const row = this.#table.rowOf(nodeId)
      if (row === undefined || this.#verdicts[row] !== accepted) continue
      this.#verdicts[row] = this.#excludedCode()
    }
  }

  #excludeAllBut(nodeId: string): void {
    const only = this.#table.rowOf(nodeId)
    for (let row = 0; row < this.#table.rowCount; row++) {
      if (row === only || this.#table.nodeAt(row) === undefined) continue
      this.#verdicts[row] = this.#boundCode()
    }
  }

  #boundCode(): number {
    return this.#table.codes.codeOf(boundRejection.filter, boundRejection.reason)
  }

  #excludedCode(): number {
    return this.#table.codes.codeOf(excludedRejection.filter, excludedRejection.reason)
  }

  /** What is elsewhere speaks against it otherwise, and is written down. */
  #passes(row: number): boolean {
    for (const { filter, reject } of this.#checks) {
      const reason = reject(row)
      if (reason === undefined) continue
      this.#verdicts[row] = this.#table.codes.codeOf(filter, reason)
      return false
    }
    return true
  }

  #pick(): number {
    const { rowCount } = this.#table
    const names = this.#table.nameRanks()
    const verdicts = this.#verdicts
    const spread = this.#spread
    const leastScore = this.#scoreMax - this.#tolerance
    let best = -1
    for (let row = 0; row < rowCount; row++) {
      if (verdicts[row] !== accepted) continue
      if (spread !== undefined) {
        if (countAt(spread.places, row) !== this.#fewestInPlace) continue
        if (countAt(spread.nodes, row) !== this.#fewestOnNode) continue
      }
      if (this.#scores[row]! < leastScore) continue
      if (best < 0 || this.#fit.isBetter(row, best, names)) best = row
    }
    return best
  }
}
