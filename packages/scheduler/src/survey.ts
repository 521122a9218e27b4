/**
 * What one kind of replica finds on every node: the reason why not, or the score, as far as they depend on the node alone
 * and what is reserved there.
 *
 * It is kept from one decision to the next, and only the rows that changed since are looked at again. What depends on
 * replicas elsewhere is not in it: see choice.ts.
 */
import { FactVerdicts } from './fact-verdicts.ts'
import { roomFilters } from './filters/all-filters.ts'
import type { Reason } from './filters/filter.ts'
import type { NodeView, ReplicaKind, ScoreWeights } from './model.ts'
import { accepted, noNode } from './rejections.ts'
import { clamp } from './scores/clamp.ts'
import { costScore } from './scores/cost.ts'
import { discouragement } from './scores/discouragement.ts'
import { regionScore, zoneBonus } from './scores/locality.ts'
import { bandwidthShortage, networkShortcomings } from './scores/network-penalty.ts'
import { utilizationScore } from './scores/utilization.ts'
import { deviceWeight, imageWeight } from './scores/weights.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import {
  networkFacet,
  regionFacet,
  taintsFacet,
  zoneFacet,
  type Facet,
  type FacetColumn,
} from './table/facet.ts'

/** Of one row, for other reservations than there are. */
const aside = {
  cpuMillis: new Float64Array(1),
  memoryBytes: new Float64Array(1),
  bandwidthBps: new Float64Array(1),
  score: new Float64Array(1),
}

/** What is reserved. */
type Taken = Readonly<Record<'cpuMillis' | 'memoryBytes' | 'bandwidthBps', Float64Array>>

interface RoomCheck {
  readonly filter: string
  readonly check: (row: number) => Reason
}

export class Survey {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  readonly #weights: ScoreWeights
  readonly #facts: FactVerdicts
  #room: readonly RoomCheck[] = []
  readonly #region: ScoreLookup
  readonly #zone: ScoreLookup
  readonly #network: ScoreLookup
  readonly #discouragement: ScoreLookup
  /** Changes seen so far; -1: none, everything is to be looked at. */
  #position = -1
  #rows = 0
  /** By row: a code of the table's rejections. */
  verdicts = new Uint16Array(0)
  /** By row, where accepted: the score but for affinity, not cut to 0 to 1. */
  scores = new Float64Array(0)

  /** `weights` are normalised. `retired` is not used any more: its memory is taken over. */
  constructor(table: ClusterTable, kind: ReplicaKind, weights: ScoreWeights, retired?: Survey) {
    this.#table = table
    this.#kind = kind
    this.#weights = weights
    this.#facts = new FactVerdicts(kind, table)
    const lookup = (facet: Facet, of: (node: NodeView) => number): ScoreLookup =>
      new ScoreLookup(table.column(facet), of)
    this.#region = lookup(regionFacet, ({ region }) => regionScore(kind.regions, region))
    this.#zone = lookup(zoneFacet, ({ zone }) => zoneBonus(kind.zones, zone))
    this.#network = lookup(networkFacet, (node) => networkShortcomings(kind, node))
    this.#discouragement = lookup(taintsFacet, (node) => discouragement(kind, node))
    if (retired === undefined) return
    this.verdicts = retired.verdicts
    this.scores = retired.scores
  }

  /** Brings the verdicts and scores up to the table as it is now. */
  refresh(): void {
    const { journal, rowCount } = this.#table
    if (journal.position === this.#position) return
    this.#facts.refresh()
    this.#region.refresh()
    this.#zone.refresh()
    this.#network.refresh()
    this.#discouragement.refresh()
    const look = (row: number): void => this.#look(row, row + 1)
    const isNew = this.#position < 0 || rowCount > this.#rows
    const isMuch = journal.position - this.#position > rowCount
    if (isNew || isMuch || !journal.since(this.#position, look)) this.#lookAtAll(rowCount)
    this.#position = journal.position
  }

  #lookAtAll(rowCount: number): void {
    if (this.verdicts.length < rowCount) {
      const length = 2 ** Math.ceil(Math.log2(rowCount))
      this.verdicts = new Uint16Array(length)
      this.scores = new Float64Array(length)
    }
    this.#rows = rowCount
    this.#room = roomFilters.flatMap(({ name, check }) =>
      check(this.#kind, this.#table).map((check) => ({ filter: name, check })),
    )
    this.#look(0, rowCount)
  }

  #look(first: number, last: number): void {
    const { verdicts } = this
    for (let row = first; row < last; row++) {
      verdicts[row] = this.#table.nodeAt(row) === undefined ? noNode : accepted
    }
    this.#facts.mark(verdicts, first, last)
    for (const { filter, check } of this.#room) {
      for (let row = first; row < last; row++) {
        if (verdicts[row] !== accepted) continue
        const reason = check(row)
        if (reason !== undefined) verdicts[row] = this.#table.codes.codeOf(filter, reason)
      }
    }
    this.#score(first, last)
  }

  #score(first: number, last: number): void {
    const { verdicts, scores } = this
    const { reserved } = this.#table.resources
    const withImage = this.#table.rowsWithImage(this.#kind.image)
    const isSomewhere = withImage.size > 0
    for (let row = first; row < last; row++) {
      if (verdicts[row] !== accepted) continue
      this.#scoreInto(scores, row, row, reserved)
      if (isSomewhere && withImage.has(row)) scores[row]! += imageWeight
    }
  }

  /** The score the row would have with this much reserved on it, whether or not there is room for it now. */
  scoreBeside(row: number, cpuTaken: number, memoryTaken: number, bandwidthTaken: number): number {
    const { cpuMillis, memoryBytes, bandwidthBps, score } = aside
    cpuMillis[0] = cpuTaken
    memoryBytes[0] = memoryTaken
    bandwidthBps[0] = bandwidthTaken
    this.#scoreInto(score, 0, row, aside)
    return score[0]! + (this.#table.rowsWithImage(this.#kind.image).has(row) ? imageWeight : 0)
  }

  /** With everything but the image. Numbers go through arrays: handed over one by one each would be put on the heap. */
  #scoreInto(scores: Float64Array, at: number, row: number, taken: Taken): void {
    const { cpuMillis: cpu, memoryBytes: memory, bandwidthBps, gpuCount } = this.#kind.requests
    const weights = this.#weights
    const { allocatable } = this.#table.resources
    const nodeCpu = allocatable.cpuMillis[row]!
    const nodeMemory = allocatable.memoryBytes[row]!
    const cpuTaken = taken.cpuMillis[at]!
    const memoryTaken = taken.memoryBytes[at]!
    const wastesGpu = gpuCount === 0 && allocatable.gpuCount[row]! > 0
    let shortage = 0
    if (bandwidthBps > 0) {
      const freeBps = allocatable.bandwidthBps[row]! - taken.bandwidthBps[at]!
      shortage = bandwidthShortage(bandwidthBps, freeBps)
    }
    scores[at] =
      weights.locality * clamp(this.#region.at(row) + this.#zone.at(row)) +
      weights.reliability * this.#table.reliability[row]! +
      weights.cost * costScore(cpu, memory, nodeCpu, nodeMemory, wastesGpu) +
      weights.utilization *
        utilizationScore(cpu, memory, nodeCpu, nodeMemory, cpuTaken, memoryTaken) -
      weights.networkPenalty * clamp(this.#network.at(row) + shortage) +
      this.#discouragement.at(row) +
      deviceWeight * this.#table.device[row]!
  }
}

/** A part of the score that depends on one facet: worked out once a value. */
class ScoreLookup {
  readonly #column: FacetColumn
  readonly #of: (node: NodeView) => number
  /** By the column's number. */
  #values = new Float64Array(0)
  #known = 0

  constructor(column: FacetColumn, of: (node: NodeView) => number) {
    this.#column = column
    this.#of = of
  }

  /** To be called before rows are looked up: nodes may have values that were not there before. */
  refresh(): void {
    const { samples, size } = this.#column
    if (this.#known === size) return
    if (this.#values.length < size) {
      const wider = new Float64Array(this.#known === 0 ? size : 2 * size)
      wider.set(this.#values)
      this.#values = wider
    }
    for (let id = this.#known; id < size; id++) {
      const sample = samples[id]
      this.#values[id] = sample === undefined ? 0 : this.#of(sample)
    }
    this.#known = size
  }

  at(row: number): number {
    return this.#values[this.#column.ids[row]!]!
  }
}
