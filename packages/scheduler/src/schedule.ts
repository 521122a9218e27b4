/**
 * The scheduler: gives each pending replica a node, or says why none will do.
 *
 * Pure in what matters: the same table and the same replicas always give the same answer, and the table is left as it was.
 *
 * Invariants
 *   1. A placement fits beside everything reserved and everything placed before it in the same batch.
 *   2. Replicas are placed by priority, the larger of equals first (first fit, decreasing), then in the order given.
 *   3. An unplaced replica's rejections count every node exactly once; those of a bound replica its node.
 */
import { choicesOf, type Choices } from './choices.ts'
import type { Around, Choice } from './choice.ts'
import type {
  PendingReplica,
  PlacedReplica,
  Placement,
  ScoreWeights,
  Unplaceable,
} from './model.ts'
import { countRejections, noNode } from './rejections.ts'
import { defaultWeights } from './scores/weights.ts'
import type { ClusterTable } from './table/cluster-table.ts'

export interface ScheduleOptions {
  /** `defaultWeights` when not given; a kind's own weigh more. */
  readonly weights?: ScoreWeights
  /** Does each piece of the work, for whoever times it; called many times in one batch. Only does it when not given. */
  readonly around?: Around
}

/** One placement per pending replica, in the order they were decided. */
export function schedule(
  table: ClusterTable,
  pending: readonly PendingReplica[],
  options: ScheduleOptions = {},
): Placement[] {
  table.tidy()
  const attempt = new Attempt(table)
  const choices = choicesOf(table)
  let refused: Refused | undefined
  try {
    return inOrderOfPlacement(pending).map((replica) => {
      if (refused !== undefined && isRefusedAgain(refused, replica, table)) {
        return { ...refused.placement, replicaId: replica.id }
      }
      const placement = place(attempt, choices, replica, options)
      refused =
        placement.kind === 'placed'
          ? undefined
          : { replica, placement, position: table.journal.position }
      return placement
    })
  } finally {
    attempt.undo()
  }
}

/** The newest refusal: the next of the same kind need not be looked at when nothing has changed. */
interface Refused {
  readonly replica: PendingReplica
  readonly placement: Unplaceable
  readonly position: number
}

function isRefusedAgain(
  { replica, position }: Refused,
  next: PendingReplica,
  table: ClusterTable,
): boolean {
  return (
    next.kind === replica.kind &&
    table.journal.position === position &&
    table.replica(next.id) === undefined &&
    areForTheSameNodes(next, replica)
  )
}

/** Whether they may go to the same nodes, as far as they say so themselves. */
export function areForTheSameNodes(one: PendingReplica, other: PendingReplica): boolean {
  return (
    one.boundNodeId === other.boundNodeId &&
    one.excludedNodeIds.join() === other.excludedNodeIds.join()
  )
}

/** Of a batch: the higher priority first, then the larger. */
export function inOrderOfPlacement(pending: readonly PendingReplica[]): PendingReplica[] {
  if (pending.every(({ kind }) => kind === pending[0]!.kind)) return [...pending]
  return pending.toSorted((a, b) => b.kind.priority - a.kind.priority || sizeOf(b) - sizeOf(a))
}

/** Thousandths of a core, MiB of memory and GiB of disk, added: only for comparing. */
function sizeOf({ kind: { requests } }: PendingReplica): number {
  return requests.cpuMillis + requests.memoryBytes / 2 ** 20 + requests.storageBytes / 2 ** 30
}

function place(
  attempt: Attempt,
  choices: Choices,
  replica: PendingReplica,
  { weights = defaultWeights, around }: ScheduleOptions,
): Placement {
  const { table } = attempt
  const { id, kind } = replica
  const before = attempt.take(id)
  const choice = choices.of(kind, weights)
  const row = choose(table, choice, replica, around)
  if (row < 0) {
    const placement: Placement = {
      kind: 'unplaceable',
      replicaId: id,
      ...refusalOf(table, choice, replica),
    }
    if (before !== undefined) attempt.put(before)
    return placement
  }
  const nodeId = table.nodeAt(row)!.id
  const placement: Placement = { kind: 'placed', replicaId: id, nodeId, score: choice.scoreAt(row) }
  attempt.put({ id, nodeId, kind, holding: 'holding' })
  return placement
}

/** The row of the node to take; -1 when none will do. */
function choose(
  table: ClusterTable,
  choice: Choice,
  replica: PendingReplica,
  around: Around | undefined,
): number {
  const { boundNodeId, avoidedNodeIds = [], excludedNodeIds } = replica
  if (boundNodeId !== undefined) {
    const only = table.rowOf(boundNodeId)
    return only === undefined ? -1 : choice.chooseBound(replica, only)
  }
  if (avoidedNodeIds.length > 0) {
    const elsewhere = [...excludedNodeIds, ...avoidedNodeIds]
    const row = choice.choose({ ...replica, excludedNodeIds: elsewhere }, around)
    if (row >= 0) return row
  }
  return choice.choose(replica, around)
}

type Refusal = Pick<Unplaceable, 'nodeCount' | 'rejections' | 'filters'>

function refusalOf(table: ClusterTable, choice: Choice, { boundNodeId }: PendingReplica): Refusal {
  if (boundNodeId === undefined) return refusalByAll(table, choice)
  const only = table.rowOf(boundNodeId)
  const { filter, reason } =
    only === undefined ? nodeIsGone : table.codes.rejectionOf(choice.verdictAt(only))
  return { nodeCount: 1, rejections: [{ reason, nodeCount: 1 }], filters: [filter] }
}

const nodeIsGone = { filter: 'bound', reason: 'its node is not in the cluster' }

function refusalByAll(table: ClusterTable, choice: Choice): Refusal {
  const counts = new Map<number, number>()
  for (let row = 0; row < table.rowCount; row++) {
    const code = choice.verdictAt(row)
    if (code !== noNode) counts.set(code, (counts.get(code) ?? 0) + 1)
  }
  const byReason = new Map<string, number>()
  const filters = new Set<string>()
  for (const [code, count] of counts) {
    const { filter, reason } = table.codes.rejectionOf(code)
    byReason.set(reason, (byReason.get(reason) ?? 0) + count)
    filters.add(filter)
  }
  const { nodeCount } = table
  return { nodeCount, rejections: countRejections(byReason), filters: [...filters].sort() }
}

/** Changes to a table that are taken back. */
export class Attempt {
  readonly table: ClusterTable
  /** What each replica that was touched was before. */
  readonly #before = new Map<string, PlacedReplica | undefined>()

  constructor(table: ClusterTable) {
    this.table = table
  }

  put(replica: PlacedReplica): void {
    this.#remember(replica.id)
    this.table.putReplica(replica)
  }

  /** Takes it off the table. Undefined when it was not on it. */
  take(replicaId: string): PlacedReplica | undefined {
    const replica = this.table.replica(replicaId)
    if (replica === undefined) return undefined
    this.#remember(replicaId)
    this.table.removeReplica(replicaId)
    return replica
  }

  undo(): void {
    for (const [replicaId, before] of this.#before) {
      if (before === undefined) this.table.removeReplica(replicaId)
      else this.table.putReplica(before)
    }
    this.#before.clear()
  }

  #remember(replicaId: string): void {
    if (!this.#before.has(replicaId)) this.#before.set(replicaId, this.table.replica(replicaId))
  }
}
