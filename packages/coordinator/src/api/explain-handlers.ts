/** CoordinatorService.ExplainWorkload: why each replica of a workload is where it is, or nowhere. */
import { create } from '@bufbuild/protobuf'
import {
  ExplainWorkloadResponseSchema,
  ReplicaExplanationSchema,
  ReplicaState,
  type ExplainWorkloadRequest,
  type ExplainWorkloadResponse,
  type ReplicaExplanation,
  type ReplicaRecord,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { explain, toleranceOf } from '@cloudless/scheduler'
import { excludedNodeIds } from '../controllers/decide-placements.ts'
import type { SchedulerView } from '../controllers/scheduler-view.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import { summaryOf, verdictMessages } from './explanation.ts'
import { requireWorkload } from './find.ts'
import { VerdictBudget } from './verdict-budget.ts'
import { viewHeldWorkload } from './workload-view.ts'

export interface ExplainHandlersDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
}

/** Explanations in one answer, which must fit into a message. */
const replicasMax = 1_000

export function explainHandlers({ state, view }: ExplainHandlersDeps) {
  const { table } = view
  const findNode = (nodeId: string) => table.node(nodeId)

  function explanationOf(record: ReplicaRecord, budget: VerdictBudget): ReplicaExplanation {
    const replica = record.status!
    const said = withoutVerdicts(record)
    if (said !== undefined || !budget.takeReplica()) {
      return create(ReplicaExplanationSchema, { replica, summary: said ?? '' })
    }
    const pending = view.pendingOf(record, { excludedNodeIds: excludedNodeIds(state, record) })
    const { weights } = view.configuration()
    const verdicts = explain(table, pending, { weights })
    const { nodeId } = replica
    const tolerance = toleranceOf(pending.kind)
    const how = { verb: verbOf(record), waiting: 'waits', tolerance }
    const facts = { ...pending.kind, ...how, verdicts, nodeId }
    const isRoomMade = nodeId === '' && findNode(replica.nominatedNodeId) !== undefined
    return create(ReplicaExplanationSchema, {
      replica,
      verdicts: verdictMessages(budget.takeVerdicts(verdicts), nodeId, findNode),
      // Who made the room knows best whose it is.
      summary: isRoomMade ? replica.message : summaryOf(facts, findNode),
    })
  }

  return {
    explainWorkload(request: ExplainWorkloadRequest): ExplainWorkloadResponse {
      const held = requireWorkload(state, request.workloadId, request.namespace)
      const replicas = state
        .replicasOfWorkload(held.id)
        .map(({ record }) => record)
        .filter((record) => isReplica(request.replicaId, record))
        .sort(waitingFirst)
      if (request.replicaId !== '' && replicas.length === 0) {
        const { name } = held.record.workload!
        throw new CloudlessError(
          'not_found',
          `workload "${name}" has no replica "${request.replicaId}"; ` +
            `\`cloudlessctl workload replicas ${name}\` shows them`,
        )
      }
      const budget = new VerdictBudget(table.nodeCount)
      return create(ExplainWorkloadResponseSchema, {
        workload: viewHeldWorkload(state, held, false),
        replicas: replicas.slice(0, replicasMax).map((record) => explanationOf(record, budget)),
      })
    },
  }
}

/** Those for whom nothing is to be chosen any more. */
function withoutVerdicts({ status, stopping, stopReason }: ReplicaRecord): string | undefined {
  const { nodeId, nodeName, state } = status!
  const where = nodeName || nodeId
  if (state === ReplicaState.LOST) return `was lost with ${where}`
  if (!stopping) return undefined
  return nodeId === '' ? 'is given up' : `is being stopped on ${where}: ${stopReason}`
}

function verbOf({ status }: ReplicaRecord): string {
  switch (status!.state) {
    case ReplicaState.RUNNING:
      return 'runs on'
    case ReplicaState.STOPPED:
      return 'has ended on'
    case ReplicaState.FAILED:
      return 'has failed on'
    default:
      return 'starts on'
  }
}

/** The whole id, or the part of it after the workload's name. */
function isReplica(wanted: string, { status }: ReplicaRecord): boolean {
  const { id } = status!
  return wanted === '' || id === wanted || id.endsWith(`-${wanted}`)
}

function waitingFirst(a: ReplicaRecord, b: ReplicaRecord): number {
  const order = Number(a.status!.nodeId !== '') - Number(b.status!.nodeId !== '')
  return order || (a.status!.id < b.status!.id ? -1 : 1)
}
