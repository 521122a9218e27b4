import { SimulatedMoveSchema, type SimulatedMove } from '@cloudless/api'
import { orDash } from './format.ts'
import { pendingSentence } from './replica.ts'
import type { Resource } from './resource.ts'

export const simulatedMoveResource: Resource<typeof SimulatedMoveSchema> = {
  singular: 'replica',
  plural: 'replicas',
  schema: SimulatedMoveSchema,
  nameOf: (move) => move.replicaId,
  columns: [
    { title: 'REPLICA', value: (move) => move.replicaId },
    { title: 'NAMESPACE', wide: true, value: (move) => move.namespace },
    { title: 'WORKLOAD', value: (move) => orDash(move.workloadName || move.workloadId) },
    { title: 'FROM', value: (move) => move.fromNodeName },
    { title: 'TO', value: (move) => orDash(move.toNodeName) },
    { title: 'SCORE', value: (move) => (fits(move) ? move.score.toFixed(2) : '-') },
    { title: 'WHY NOT', value: (move) => orDash(pendingSentence(move.pendingReasons)) },
  ],
}

/** Something could take it. */
export function fits(move: SimulatedMove): boolean {
  return move.toNodeId !== ''
}
