/** How much explaining one answer may cost: it must be made within a moment and fit into a message of 4 MiB. */
import type { Verdict } from '@cloudless/scheduler'

/** Nodes looked at for one answer, each replica counting all of them. */
const looksMax = 200_000
/** Verdicts in one answer. */
const verdictsMax = 5_000

export class VerdictBudget {
  readonly #looksPerReplica: number
  #looks = looksMax
  #verdicts = verdictsMax

  constructor(nodeCount: number) {
    this.#looksPerReplica = Math.max(1, nodeCount)
  }

  /** Whether another replica may be explained; the first always. */
  takeReplica(): boolean {
    const may = this.#looks === looksMax || this.#looks >= this.#looksPerReplica
    if (may) this.#looks -= this.#looksPerReplica
    return may
  }

  /** All of them, none, or of the first replica, which has more than an answer may hold, the best. */
  takeVerdicts(verdicts: readonly Verdict[]): readonly Verdict[] {
    if (this.#verdicts < verdictsMax && this.#verdicts < verdicts.length) return []
    const taken = verdicts.slice(0, this.#verdicts)
    this.#verdicts -= taken.length
    return taken
  }
}
