/** CoordinatorService.SimulateNodes: what a drain or a loss would move, before there is one. */
import { create } from '@bufbuild/protobuf'
import {
  PendingReasonSchema,
  SimulatedMoveSchema,
  SimulateNodesResponseSchema,
  SimulationKind,
  type SimulatedMove as MoveMessage,
  type SimulateNodesRequest,
  type SimulateNodesResponse,
} from '@cloudless/api'
import { CloudlessError, counted } from '@cloudless/base'
import { simulate, type SimulatedMove } from '@cloudless/scheduler'
import type { SchedulerView } from '../controllers/scheduler-view.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import { requireNode } from './find.ts'
import { minimumOf } from '../controllers/spare-replicas.ts'
import { readyReplicaIds } from './ready-replicas.ts'

export interface SimulateHandlersDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
}

const nodesMax = 1_000
/** In one answer, which must fit into a message. */
const movesMax = 10_000

export function simulateHandlers({ state, view }: SimulateHandlersDeps) {
  function messageOf({ replica, placement }: SimulatedMove): MoveMessage {
    const status = state.get('replica', replica.id)?.status
    const message = create(SimulatedMoveSchema, {
      replicaId: replica.id,
      workloadId: replica.kind.workloadId,
      workloadName: status?.workloadName ?? '',
      namespace: replica.kind.namespace,
      fromNodeName: view.table.node(replica.nodeId)?.name ?? '',
    })
    if (placement.kind === 'unplaceable') {
      message.pendingReasons = placement.rejections.map((one) => create(PendingReasonSchema, one))
    } else {
      message.toNodeId = placement.nodeId
      message.toNodeName = view.table.node(placement.nodeId)?.name ?? ''
      message.score = placement.score
    }
    return message
  }

  /** Of workloads whose ready replicas go for a while, or for good. */
  function belowMinimum(moves: readonly SimulatedMove[], kind: SimulationKind): string[] {
    const goingByWorkload = new Map<string, Set<string>>()
    for (const { replica, placement } of moves) {
      // A drain stops what it has replaced; a loss does not ask.
      if (kind === SimulationKind.DRAIN && placement.kind === 'placed') continue
      const { workloadId } = replica.kind
      const going = goingByWorkload.get(workloadId) ?? new Set()
      goingByWorkload.set(workloadId, going.add(replica.id))
    }
    return [...goingByWorkload]
      .filter(([workloadId, going]) => fallsBelow(state, workloadId, going))
      .map(([workloadId]) => workloadId)
      .sort()
  }

  return {
    simulateNodes(request: SimulateNodesRequest): SimulateNodesResponse {
      const nodeIds = nodeIdsOf(state, request)
      const { weights } = view.configuration()
      const kind = request.kind === SimulationKind.DRAIN ? 'drain' : 'loss'
      const moves = simulate(view.table, nodeIds, kind, { weights })
      if (moves.length > movesMax) {
        throw new CloudlessError(
          'resource_exhausted',
          `${counted(moves.length, 'replica')} would have to move, and one answer has at most ` +
            `${movesMax}: simulate fewer nodes at once`,
        )
      }
      return create(SimulateNodesResponseSchema, {
        moves: moves.map(messageOf),
        workloadsBelowMinimum: belowMinimum(moves, request.kind),
      })
    },
  }
}

function nodeIdsOf(state: ClusterState, { kind, nodeIds }: SimulateNodesRequest): string[] {
  if (kind !== SimulationKind.DRAIN && kind !== SimulationKind.LOSS) {
    throw new CloudlessError('invalid_argument', 'kind: must be DRAIN or LOSS')
  }
  if (nodeIds.length === 0 || nodeIds.length > nodesMax) {
    throw new CloudlessError(
      'invalid_argument',
      `node_ids: must have 1 to ${nodesMax} names or ids, not ${nodeIds.length}`,
    )
  }
  return [...new Set(nodeIds.map((idOrName) => requireNode(state, idOrName).id))]
}

function fallsBelow(state: ClusterState, workloadId: string, going: ReadonlySet<string>): boolean {
  const ready = readyReplicaIds(state, workloadId)
  const left = ready.filter((id) => !going.has(id)).length
  return left < ready.length && left < minimumOf(state.get('workload', workloadId))
}
