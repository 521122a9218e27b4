/**
 * The scheduler: gives each pending replica a node, or says why none will do.
 *
 * Pure: the same input always gives the same output, and no view is changed.
 *
 * Invariants
 *   1. A placement fits beside everything reserved and everything placed before it in the same batch.
 *   2. Replicas are placed by priority, the larger of equals first (first fit, decreasing), then in the order given.
 *   3. An unplaced replica's rejections count every node exactly once.
 *
 * The choice among feasible nodes: with a spread topology the place with the fewest replicas of the workload, then the
 * node with the fewest, then the best score; without, the best score, then the node with the fewest. Last the node's name.
 */
import { findAffinityTerms, type AffinityTerms } from './affinity.ts'
import { Board } from './board.ts'
import { countRejections, rejectionOf } from './filter.ts'
import { placeOf } from './labels.ts'
import type { NodeView, PendingReplica, Placement, ScoreTerms, ScoreWeights } from './model.ts'
import { defaultWeights, normaliseWeights, scoreNode, scoreTermsOf } from './score.ts'

export type SchedulePhase = 'filter' | 'score'

export interface ScheduleOptions {
  /** `defaultWeights` when not given. */
  readonly weights?: ScoreWeights
  /** Does each piece of the work, for whoever times it; called many times in one batch. Only does it when not given. */
  readonly around?: <Result>(phase: SchedulePhase, work: () => Result) => Result
}

/** One placement per pending replica, in the order they were decided. */
export function schedule(
  nodes: readonly NodeView[],
  pending: readonly PendingReplica[],
  options: ScheduleOptions = {},
): Placement[] {
  const weights = normaliseWeights(options.weights ?? defaultWeights)
  const board = new Board(nodes)
  const around: Around = options.around ?? ((_, work) => work())
  let survey: Survey | undefined
  return inOrderOfPlacement(pending).map((replica) => {
    if (survey === undefined || !survey.serves(replica)) {
      survey = new Survey(board, replica, { weights, around })
    }
    return survey.place(replica)
  })
}

type Around = NonNullable<ScheduleOptions['around']>

export type Explanation =
  | { readonly kind: 'rejected'; readonly nodeId: string; readonly reason: string }
  | {
      readonly kind: 'feasible'
      readonly nodeId: string
      /** 0 to 1. */
      readonly score: number
      readonly terms: ScoreTerms
    }

/** What the scheduler thinks of each node for the replica, in the order of the nodes. */
export function explain(
  nodes: readonly NodeView[],
  replica: PendingReplica,
  options: ScheduleOptions = {},
): Explanation[] {
  const weights = normaliseWeights(options.weights ?? defaultWeights)
  const affinity = findAffinityTerms(replica, nodes)
  return nodes.map((node) => {
    const reason = rejectionOf(replica, node, affinity)
    if (reason !== undefined) return { kind: 'rejected', nodeId: node.id, reason }
    const score = scoreNode(replica, node, affinity, weights)
    const terms = scoreTermsOf(replica, node, affinity)
    return { kind: 'feasible', nodeId: node.id, score, terms }
  })
}

function inOrderOfPlacement(pending: readonly PendingReplica[]): PendingReplica[] {
  return pending.toSorted((a, b) => b.priority - a.priority || sizeOf(b) - sizeOf(a))
}

/** Thousandths of a core, MiB of memory and GiB of disk, added: only for comparing. */
function sizeOf({ requests }: PendingReplica): number {
  return requests.cpuMillis + requests.memoryBytes / 2 ** 20 + requests.storageBytes / 2 ** 30
}

/**
 * Every node's verdict on one kind of replica. Replicas of a workload come in numbers and differ only in their id, so the
 * verdicts are kept from one to the next; only the node that was given one is looked at again.
 */
class Survey {
  readonly #board: Board
  readonly #kind: string
  readonly #weights: ScoreWeights
  readonly #around: Around
  #affinity: AffinityTerms
  /** By node: the reason why not, or the score. */
  #verdicts: (string | number)[]

  constructor(
    board: Board,
    replica: PendingReplica,
    { weights, around }: { readonly weights: ScoreWeights; readonly around: Around },
  ) {
    this.#board = board
    this.#kind = kindOf(replica)
    this.#weights = weights
    this.#around = around
    this.#affinity = findAffinityTerms(replica, board.nodes)
    this.#verdicts = this.#verdictsOn(replica, board.nodes)
  }

  serves(replica: PendingReplica): boolean {
    return kindOf(replica) === this.#kind
  }

  place(replica: PendingReplica): Placement {
    const index = this.#around('score', () => this.#best(replica))
    const node = this.#board.nodes[index]
    if (node === undefined) {
      const rejections = countRejections(this.#verdicts as string[])
      const nodeCount = this.#verdicts.length
      return { kind: 'unplaceable', replicaId: replica.id, nodeCount, rejections }
    }
    const placement: Placement = {
      kind: 'placed',
      replicaId: replica.id,
      nodeId: node.id,
      score: this.#verdicts[index] as number,
      terms: scoreTermsOf(replica, node, this.#affinity),
    }
    this.#board.place(replica, index)
    this.#lookAgain(replica, index)
    return placement
  }

  #verdictsOn(replica: PendingReplica, nodes: readonly NodeView[]): (string | number)[] {
    const rejections = this.#around('filter', () =>
      nodes.map((node) => rejectionOf(replica, node, this.#affinity)),
    )
    return this.#around('score', () =>
      nodes.map(
        (node, n) => rejections[n] ?? scoreNode(replica, node, this.#affinity, this.#weights),
      ),
    )
  }

  /** A replica placed may make a place wanted or shunned, and then concerns every node. */
  #lookAgain(replica: PendingReplica, index: number): void {
    const { nodes } = this.#board
    const terms = [...replica.affinity, ...replica.antiAffinity]
    if (terms.some(({ subject }) => subject === 'workload')) {
      this.#affinity = findAffinityTerms(replica, nodes)
      this.#verdicts = this.#verdictsOn(replica, nodes)
    } else {
      this.#verdicts[index] = this.#verdictsOn(replica, [nodes[index]!])[0]!
    }
  }

  /** Index of the node to take; -1 when every node was rejected. */
  #best({ workloadId, spreadTopology }: PendingReplica): number {
    const { nodes } = this.#board
    const spread = spreadTopology !== ''
    const byPlace = spread ? this.#board.replicasByPlace(workloadId, spreadTopology) : undefined
    let best = -1
    let bestRank: Rank | undefined
    for (let index = 0; index < nodes.length; index++) {
      const score = this.#verdicts[index]!
      if (typeof score === 'string') continue
      const node = nodes[index]!
      const inPlace = byPlace?.get(placeOf(node, spreadTopology) ?? '') ?? 0
      const onNode = this.#board.replicasOn(workloadId, node.id)
      if (bestRank === undefined || isBefore(spread, score, inPlace, onNode, node.name, bestRank)) {
        best = index
        bestRank = { score, inPlace, onNode, name: node.name }
      }
    }
    return best
  }
}

interface Rank {
  readonly score: number
  readonly inPlace: number
  readonly onNode: number
  readonly name: string
}

/** Scores nearer to each other than this are equal: the rest is the noise of adding fractions. */
const scoreResolution = 1e-6

function isBefore(
  spread: boolean,
  score: number,
  inPlace: number,
  onNode: number,
  name: string,
  best: Rank,
): boolean {
  if (spread && inPlace !== best.inPlace) return inPlace < best.inPlace
  if (spread && onNode !== best.onNode) return onNode < best.onNode
  const step = Math.round(score / scoreResolution) - Math.round(best.score / scoreResolution)
  if (step !== 0) return step > 0
  if (onNode !== best.onNode) return onNode < best.onNode
  return name < best.name
}

/** Equal for replicas that differ in nothing but their id. */
function kindOf(replica: PendingReplica): string {
  return JSON.stringify({ ...replica, id: '' })
}
