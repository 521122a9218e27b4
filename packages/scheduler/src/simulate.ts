/** What would become of the replicas of some nodes if these were drained or lost. Leaves the table as it was. */
import type { PlacedReplica, SimulatedMove } from './model.ts'
import { Attempt, schedule, type ScheduleOptions } from './schedule.ts'
import type { ClusterTable } from './table/cluster-table.ts'

export type SimulationKind = 'drain' | 'loss'

/**
 * One move for each replica that holds room on the nodes, but for daemons, which belong to them; unplaceable ones first. With `loss` what they hold is gone
 * before the others are placed; with `drain` they keep it, and what they shun is shunned, until each is replaced.
 */
export function simulate(
  table: ClusterTable,
  nodeIds: readonly string[],
  kind: SimulationKind,
  options: ScheduleOptions = {},
): SimulatedMove[] {
  const nodes = [...new Set(nodeIds)]
    .map((nodeId) => table.node(nodeId))
    .filter((node) => node !== undefined)
  const moving = nodes
    .flatMap(({ id }) => table.replicasOn(id))
    .filter(({ holding, kind }) => holding === 'holding' && !kind.isDaemon)
    // Equals are placed in the order given, and that in which they came to the nodes is chance.
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const attempt = new Attempt(table)
  try {
    for (const node of nodes) {
      table.putNode({ ...node, phase: kind === 'drain' ? 'draining' : 'offline' })
    }
    if (kind === 'loss') for (const { id } of moving) attempt.take(id)
    return movesOf(table, moving, options)
  } finally {
    attempt.undo()
    for (const node of nodes) table.putNode(node)
  }
}

function movesOf(
  table: ClusterTable,
  moving: readonly PlacedReplica[],
  options: ScheduleOptions,
): SimulatedMove[] {
  const replicaById = new Map(moving.map((replica) => [successorId(replica), replica]))
  const pending = moving.map((replica) => ({
    id: successorId(replica),
    kind: replica.kind,
    excludedNodeIds: [replica.nodeId],
  }))
  return schedule(table, pending, options)
    .map((placement) => ({ replica: replicaById.get(placement.replicaId)!, placement }))
    .sort((a, b) => Number(a.placement.kind === 'placed') - Number(b.placement.kind === 'placed'))
}

function successorId({ id }: PlacedReplica): string {
  return `successor of ${id}`
}
