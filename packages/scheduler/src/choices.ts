/** The kinds decided for lately, each with what is known of every node for it. */
import { Choice } from './choice.ts'
import type { ReplicaKind, ScoreWeights } from './model.ts'
import { defaultWeights, normaliseWeights } from './scores/weights.ts'
import type { ClusterTable } from './table/cluster-table.ts'

/** Ten bytes a node each, twice. */
const choicesMax = 64

export class Choices {
  readonly #table: ClusterTable
  /** Least recently used first. */
  readonly #byKind = new Map<ReplicaKind, Choice>()
  #weights: ScoreWeights = defaultWeights
  #columnsEpoch = -1

  constructor(table: ClusterTable) {
    this.#table = table
  }

  /** With the weights of the last decision when none are given. */
  of(kind: ReplicaKind, clusterWeights: ScoreWeights = this.#weights): Choice {
    const isStale =
      this.#columnsEpoch !== this.#table.columnsEpoch || !sameWeights(this.#weights, clusterWeights)
    if (isStale) {
      this.#byKind.clear()
      this.#columnsEpoch = this.#table.columnsEpoch
      this.#weights = clusterWeights
    }
    let choice = this.#byKind.get(kind)
    if (choice === undefined) {
      const weights = normaliseWeights(kind.weights ?? clusterWeights)
      choice = new Choice(this.#table, kind, weights, this.#retire())
    } else {
      this.#byKind.delete(kind)
    }
    this.#byKind.set(kind, choice)
    return choice
  }

  /** The least recently used, when there are enough. */
  #retire(): Choice | undefined {
    if (this.#byKind.size < choicesMax) return undefined
    const [[kind, choice]] = this.#byKind as Iterable<[ReplicaKind, Choice]> as [
      [ReplicaKind, Choice],
    ]
    this.#byKind.delete(kind)
    return choice
  }
}

const choicesByTable = new WeakMap<ClusterTable, Choices>()

/** Those that go with the table. */
export function choicesOf(table: ClusterTable): Choices {
  let choices = choicesByTable.get(table)
  if (choices === undefined) choicesByTable.set(table, (choices = new Choices(table)))
  return choices
}

export function sameWeights(one: ScoreWeights, other: ScoreWeights): boolean {
  return (
    one === other ||
    (one.locality === other.locality &&
      one.reliability === other.reliability &&
      one.cost === other.cost &&
      one.utilization === other.utilization &&
      one.networkPenalty === other.networkPenalty)
  )
}
