/**
 * What one kind of replica finds on every node: the reason why not, or the score, as far as they depend on the node alone
 * and what is reserved there.
 *
 * It is kept from one decision to the next, and only the rows that changed since are looked at again. What depends on
 * replicas elsewhere is not in it: see choice.ts.
 */
import { FactVerdicts } from './fact-verdicts.ts'
import { roomFilters } from './filters/index.ts'
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
    const { cpuMillis, memoryBytes, bandwidthBps } = this.#table.resources.reserved
    const { verdicts, scores } = this
    const withImage = this.#table.rowsWithImage(this.#kind.image)
    const isSomewhere = withImage.size > 0
    for (let row = first; row < last; row++) {
      if (verdicts[row] !== accepted) continue
      const score = this.#scoreOf(row, cpuMillis[row]!, memoryBytes[row]!, bandwidthBps[row]!)
      scores[row] = isSomewhere && withImage.has(row) ? score + imageWeight : score
    }
  }

  /** The score the row would have with this much reserved on it, whether or not there is room for it now. */
  scoreBeside(row: number, cpuTaken: number, memoryTaken: number, bandwidthTaken: number): number {
    const score = this.#scoreOf(row, cpuTaken, memoryTaken, bandwidthTaken)
    return this.#table.rowsWithImage(this.#kind.image).has(row) ? score + imageWeight : score
  }

  /** With everything but the image. */
  #scoreOf(row: number, cpuTaken: number, memoryTaken: number, bandwidthTaken: number): number {
    const { cpuMillis: cpu, memoryBytes: memory, bandwidthBps, gpuCount } = this.#kind.requests
    const weights = this.#weights
    const { allocatable } = this.#table.resources
    const nodeCpu = allocatable.cpuMillis[row]!
    const nodeMemory = allocatable.memoryBytes[row]!
    const wastesGpu = gpuCount === 0 && allocatable.gpuCount[row]! > 0
    let shortage = 0
    if (bandwidthBps > 0) {
      shortage = bandwidthShortage(bandwidthBps, allocatable.bandwidthBps[row]! - bandwidthTaken)
    }
    return (
      weights.locality * clamp(this.#region.at(row) + this.#zone.at(row)) +
      weights.reliability * this.#table.reliability[row]! +
      weights.cost * costScore(cpu, memory, nodeCpu, nodeMemory, wastesGpu) +
      weights.utilization *
        utilizationScore(cpu, memory, nodeCpu, nodeMemory, cpuTaken, memoryTaken) -
      weights.networkPenalty * clamp(this.#network.at(row) + shortage) +
      this.#discouragement.at(row) +
      deviceWeight * this.#table.device[row]!
    )
  }
}

/** A part of the score that depends on one facet: worked out once a value. */
class ScoreLookup {
  readonly #column: FacetColumn
  readonly #of: (node: NodeView) => number
  readonly #values: number[] = []

  constructor(column: FacetColumn, of: (node: NodeView) => number) {
    this.#column = column
    this.#of = of
  }

  at(row: number): number {
    const id = this.#column.ids[row]!
    return this.#values[id] ?? this.#learn(id)
  }

  #learn(id: number): number {
    for (let at = this.#values.length; at <= id; at++) {
      const sample = this.#column.samples[at]
      this.#values[at] = sample === undefined ? 0 : this.#of(sample)
    }
    return this.#values[id]!
  }
}
