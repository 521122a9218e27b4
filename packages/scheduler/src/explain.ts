/** What the scheduler thinks of every node for one replica, in words and numbers. */
import { choicesOf } from './choices.ts'
import type { Choice } from './choice.ts'
import type {
  NodeView,
  PendingReplica,
  ReplicaKind,
  ScoreTerm,
  ScoreWeights,
  TermName,
  Verdict,
} from './model.ts'
import { factFilters, passingFilters, roomFilters } from './filters/all-filters.ts'
import { accepted } from './rejections.ts'
import { Attempt, type ScheduleOptions } from './schedule.ts'
import { costScore } from './scores/cost.ts'
import { discouragement } from './scores/discouragement.ts'
import { localityScore } from './scores/locality.ts'
import { networkPenalty } from './scores/network-penalty.ts'
import { utilizationScore } from './scores/utilization.ts'
import {
  affinityWeight,
  defaultWeights,
  deviceWeight,
  imageWeight,
  normaliseWeights,
} from './scores/weights.ts'
import type { ClusterTable } from './table/cluster-table.ts'

/**
 * The one that would be chosen first, then the others that would do by their scores, then the refused by name. If a
 * replica of that id is on the table, as if it were not.
 */
export function explain(
  table: ClusterTable,
  replica: PendingReplica,
  { weights = defaultWeights }: ScheduleOptions = {},
): Verdict[] {
  table.tidy()
  const attempt = new Attempt(table)
  try {
    attempt.take(replica.id)
    const choice = choicesOf(table).of(replica.kind, weights)
    const chosen = choice.chooseAmongAll(replica)
    const used = normaliseWeights(replica.kind.weights ?? weights)
    return orderedRows(table, choice, chosen).map((row) =>
      verdictAt(table, choice, replica.kind, row, used),
    )
  } finally {
    attempt.undo()
  }
}

/** Why the node must not take the replica; undefined when it may. By the very filters that choose. */
export function admit(
  table: ClusterTable,
  replica: PendingReplica,
  nodeId: string,
): string | undefined {
  const row = table.rowOf(nodeId)
  if (row === undefined) return 'not in the cluster'
  const attempt = new Attempt(table)
  try {
    attempt.take(replica.id)
    const choice = choicesOf(table).of(replica.kind)
    const code = choice.judgeRow(row, replica)
    return code === accepted ? undefined : table.codes.rejectionOf(code).reason
  } finally {
    attempt.undo()
  }
}

/** Whether what a node is, and what is free on it, allow the kind, whatever runs elsewhere: is it worth another try? */
export function couldTake(table: ClusterTable, kind: ReplicaKind, nodeId: string): boolean {
  const row = table.rowOf(nodeId)
  if (row === undefined) return false
  const node = table.nodeAt(row)!
  for (const { checks } of factFilters) {
    if (checks(kind).some(({ reject }) => reject(node) !== undefined)) return false
  }
  return roomFilters.every(({ check }) =>
    check(kind, table).every((lacks) => lacks(row) === undefined),
  )
}

/**
 * Why the node is none for the kind, by what it is and not by how it fares just now; undefined when it is one. For daemons,
 * which want every such node. `staying`: for a replica that is there, which only has to bear what drives replicas away.
 */
export function unsuitedTo(
  kind: ReplicaKind,
  node: NodeView,
  { staying }: { readonly staying: boolean },
): string | undefined {
  const taints = staying ? node.taints.filter(({ effect }) => effect === 'NoExecute') : node.taints
  const seen = { ...node, taints }
  for (const filter of factFilters) {
    if (passingFilters.includes(filter)) continue
    for (const { reject } of filter.checks(kind)) {
      const reason = reject(seen)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}

function orderedRows(table: ClusterTable, choice: Choice, chosen: number): number[] {
  const names = table.nameRanks()
  const rows: number[] = []
  for (let row = 0; row < table.rowCount; row++) if (table.nodeAt(row) !== undefined) rows.push(row)
  const rankOf = (row: number): number =>
    row === chosen ? 2 : choice.verdictAt(row) === accepted ? choice.scoreAt(row) : -1
  return rows.sort((a, b) => rankOf(b) - rankOf(a) || names[a]! - names[b]!)
}

function verdictAt(
  table: ClusterTable,
  choice: Choice,
  kind: ReplicaKind,
  row: number,
  weights: ScoreWeights,
): Verdict {
  const nodeId = table.nodeAt(row)!.id
  const code = choice.verdictAt(row)
  if (code !== accepted) return { kind: 'rejected', nodeId, ...table.codes.rejectionOf(code) }
  return {
    kind: 'feasible',
    nodeId,
    score: choice.scoreAt(row),
    terms: termsAt(table, choice, kind, row, weights),
    replicasInPlace: choice.replicasInPlaceAt(row),
  }
}

function termsAt(
  table: ClusterTable,
  choice: Choice,
  kind: ReplicaKind,
  row: number,
  weights: ScoreWeights,
): ScoreTerm[] {
  const node = table.nodeAt(row)!
  const { allocatable } = node
  const reserved = table.resources.reservedOn(row)
  const { cpuMillis, memoryBytes, gpuCount } = kind.requests
  const wastesGpu = gpuCount === 0 && allocatable.gpuCount > 0
  const sizes = [cpuMillis, memoryBytes, allocatable.cpuMillis, allocatable.memoryBytes] as const
  const used = utilizationScore(...sizes, reserved.cpuMillis, reserved.memoryBytes)
  const penalty = networkPenalty(kind, node, allocatable.bandwidthBps - reserved.bandwidthBps)
  const wishes = choice.preferenceAt(row) + discouragement(kind, node)
  return [
    term('locality', localityScore(kind, node), weights.locality),
    term('reliability', table.reliability[row]!, weights.reliability),
    term('cost', costScore(...sizes, wastesGpu), weights.cost),
    term('utilization', used, weights.utilization),
    term('network_penalty', penalty, -weights.networkPenalty),
    term('affinity', wishes, affinityWeight),
    term('image', node.images.has(kind.image) ? 1 : 0, imageWeight),
    term('device', table.device[row]!, deviceWeight),
  ]
}

function term(name: TermName, value: number, weight: number): ScoreTerm {
  return { name, value: value * 100, weight, contribution: value * weight }
}
