/**
 * Making room: which replicas of lower priority to stop, and on which node, so that a pending one fits.
 *
 * Pure in what matters, as `schedule` is: the same table gives the same plan, and is left as it was. Nothing is decided
 * here about when to preempt, or for whom; a plan is worth what the table was worth when it was made.
 *
 * Invariants
 *   1. A victim's priority is lower than the pending replica's.
 *   2. No more replicas of a workload are victims than it can spare.
 *   3. Once the victims and those that are leaving are gone, and the displaced nominations dropped, the node passes every
 *      filter for the replica.
 *   4. No other way on any node takes fewer victims, or as few with a lower highest priority, or with the same highest
 *      one a lower sum; among nodes that cost the same it is the usual choice. Where the search on a node ends at
 *      `victimSearchStepsMax` no victim of the plan could be left out; where it ends at `placeDealsMax` nodes, there may
 *      be a cheaper one.
 *
 * Room that is coming counts as there: a node where those that are leaving make enough of it has a plan without victims.
 */
import { sameWeights } from './choices.ts'
import type { PendingReplica, PlacedReplica, Preemption, Resources, ScoreWeights } from './model.ts'
import { Occupants } from './preemption/occupants.ts'
import { reservedAfter } from './preemption/room.ts'
import { Tolls, type Deal } from './preemption/tolls.ts'
import { victimsOf } from './preemption/victims.ts'
import { areForTheSameNodes, Attempt, inOrderOfPlacement } from './schedule.ts'
import { defaultWeights, normaliseWeights } from './scores/weights.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import { resourceNames } from './table/resource-columns.ts'

export interface PreemptionOptions {
  /**
   * How many replicas of the workload may be stopped for the pending one: those that are ready above what must stay
   * available. The same for all of a kind.
   */
  readonly spareOf: (workloadId: string, pending: PendingReplica) => number
  /** `defaultWeights` when not given; a kind's own weigh more. */
  readonly weights?: ScoreWeights
  /** No other node is looked at. */
  readonly onlyNodeId?: string
}

/** Undefined when stopping replicas of lower priority would not help. */
export function planPreemption(
  table: ClusterTable,
  pending: PendingReplica,
  options: PreemptionOptions,
): Preemption | undefined {
  table.tidy()
  return planOne(table, pending, options)
}

export interface PlannedPreemption {
  readonly pending: PendingReplica
  readonly preemption: Preemption | undefined
}

/**
 * One plan for each, in the order in which they would be placed, as if those before it had been carried out. The caller
 * may end at any of them; the table is as it was once it has, and must not be used for anything else before.
 */
export function* planPreemptions(
  table: ClusterTable,
  pending: readonly PendingReplica[],
  options: PreemptionOptions,
): Generator<PlannedPreemption, void, undefined> {
  table.tidy()
  const attempt = new Attempt(table)
  const taken = new Map<string, number>()
  const spareOf: PreemptionOptions['spareOf'] = (workloadId, replica) =>
    options.spareOf(workloadId, replica) - (taken.get(workloadId) ?? 0)
  let refused: { readonly pending: PendingReplica; readonly position: number } | undefined
  try {
    for (const replica of inOrderOfPlacement(pending)) {
      const { position } = table.journal
      const isRefusedAgain = refused?.position === position && areAlike(refused.pending, replica)
      const preemption = isRefusedAgain
        ? undefined
        : planOne(table, replica, { ...options, spareOf })
      if (preemption === undefined) refused = { pending: replica, position }
      else carryOut(attempt, replica, preemption, taken)
      yield { pending: replica, preemption }
    }
  } finally {
    attempt.undo()
  }
}

function areAlike(one: PendingReplica, other: PendingReplica): boolean {
  return one.kind === other.kind && areForTheSameNodes(one, other)
}

function carryOut(
  attempt: Attempt,
  { id, kind }: PendingReplica,
  { nodeId, victimIds, displacedIds }: Preemption,
  taken: Map<string, number>,
): void {
  for (const victimId of victimIds) {
    const victim = attempt.table.replica(victimId)!
    const { workloadId } = victim.kind
    taken.set(workloadId, (taken.get(workloadId) ?? 0) + 1)
    attempt.put({ ...victim, holding: 'leaving' })
  }
  for (const displacedId of displacedIds) attempt.take(displacedId)
  attempt.put({ id, nodeId, kind, holding: 'nominated' })
}

function planOne(
  table: ClusterTable,
  pending: PendingReplica,
  { spareOf, weights = defaultWeights, onlyNodeId }: PreemptionOptions,
): Preemption | undefined {
  const attempt = new Attempt(table)
  try {
    attempt.take(pending.id)
    const tolls = knownOf(table).tollsOf(pending, weights)
    const spare = (workloadId: string): number => spareOf(workloadId, pending)
    const onlyNode = pending.boundNodeId ?? onlyNodeId
    const deal = tolls.plan(pending.excludedNodeIds, spare, onlyNode)
    if (deal === undefined) return undefined
    const { row, way, sacrifice } = deal
    return {
      nodeId: table.nodeAt(row)!.id,
      victimIds: victimsOf(table, row, way, sacrifice.taken).map(({ id }) => id),
      displacedIds: displacedBy(table, pending, deal),
    }
  } finally {
    attempt.undo()
  }
}

/** Of the nominations of a lower priority on the node those that do not fit beside the replica; the lowest go first. */
function displacedBy(
  table: ClusterTable,
  { kind }: PendingReplica,
  { row, way, sacrifice }: Deal,
): string[] {
  const nominated = table
    .replicasOn(table.nodeAt(row)!.id)
    .filter((one) => one.holding === 'nominated' && one.kind.priority < kind.priority)
    .sort((a, b) => b.kind.priority - a.kind.priority || (a.id < b.id ? -1 : 1))
  const asked = resourceNames.filter((name) => kind.requests[name] > 0)
  const free = new Map<keyof Resources, number>()
  for (const name of asked) {
    const reserved = reservedAfter(table, row, name, way, sacrifice.taken)
    free.set(name, table.resources.allocatable[name][row]! - reserved - kind.requests[name])
  }
  const mayStay = ({ kind: { requests, hostPorts } }: PlacedReplica): boolean =>
    !kind.hostPorts.some((port) => hostPorts.includes(port)) &&
    asked.every((name) => requests[name] <= free.get(name)!)
  const displaced: string[] = []
  for (const one of nominated) {
    if (!mayStay(one)) displaced.unshift(one.id)
    else for (const name of asked) free.set(name, free.get(name)! - one.kind.requests[name])
  }
  return displaced
}

/** Kinds planned for lately; each costs fifty bytes a node. */
const kindsMax = 32

/** What is kept from one plan to the next. */
class Known {
  readonly #table: ClusterTable
  readonly #occupants: Occupants
  /** Least recently used first. */
  readonly #byKind = new Map<PendingReplica['kind'], Tolls>()
  #weights: ScoreWeights = defaultWeights
  #columnsEpoch = -1

  constructor(table: ClusterTable) {
    this.#table = table
    this.#occupants = new Occupants(table)
  }

  tollsOf({ kind }: PendingReplica, weights: ScoreWeights): Tolls {
    this.#occupants.refresh()
    if (this.#columnsEpoch !== this.#table.columnsEpoch || !sameWeights(this.#weights, weights)) {
      this.#byKind.clear()
      this.#columnsEpoch = this.#table.columnsEpoch
      this.#weights = weights
    }
    let tolls = this.#byKind.get(kind)
    if (tolls === undefined) {
      const used = normaliseWeights(kind.weights ?? weights)
      tolls = new Tolls(this.#table, kind, used, this.#occupants)
      if (this.#byKind.size >= kindsMax) this.#byKind.delete(this.#byKind.keys().next().value!)
    } else {
      this.#byKind.delete(kind)
    }
    this.#byKind.set(kind, tolls)
    return tolls
  }
}

const knownByTable = new WeakMap<ClusterTable, Known>()

function knownOf(table: ClusterTable): Known {
  let known = knownByTable.get(table)
  if (known === undefined) knownByTable.set(table, (known = new Known(table)))
  return known
}
