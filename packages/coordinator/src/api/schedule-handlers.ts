/** CoordinatorService's calls about where replicas go. */
import { clone, create } from '@bufbuild/protobuf'
import {
  defaultWorkload,
  errorOfProblems,
  PendingReasonSchema,
  RescheduleResponseSchema,
  ScheduleDecisionSchema,
  ScheduleResponseSchema,
  validateWorkload,
  WorkloadRecordSchema,
  WorkloadSchema,
  type ReplicaRecord,
  type RescheduleRequest,
  type ScheduleDecision,
  type ScheduleRequest,
  type Workload,
} from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import { schedule, type Placement, type ScoreWeights } from '@cloudless/scheduler'
import { pendingReplicaOf, type SchedulerView } from '../controllers/scheduler-view.ts'
import { newReplica } from '../controllers/replica-records.ts'
import type { PlacementController } from '../controllers/placement-controller.ts'
import { putRecord, unchanged, type ClusterState } from '../state/cluster-state.ts'
import { recordsPerTransactionMax } from '../state/transaction-limits.ts'
import { requireWorkload, workloadIdOf } from './find.ts'

export interface ScheduleHandlersDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly view: SchedulerView
  readonly placement: PlacementController
  readonly weights: ScoreWeights
  readonly admit: (workload: Workload) => void
}

export function scheduleHandlers(deps: ScheduleHandlersDeps) {
  const { state, view } = deps

  function dryRun(workload: Workload): ScheduleDecision[] {
    const complete = defaultWorkload(clone(WorkloadSchema, workload))
    const problems = validateWorkload(complete)
    if (problems.length > 0) throw errorOfProblems('the workload is not valid', problems)
    deps.admit(complete)
    const id = workloadIdOf(complete.namespace, complete.name)
    const owner = create(WorkloadRecordSchema, { workload: { ...complete, id } })
    const pending = Array.from({ length: complete.spec!.replicas }, (_, n) => {
      const replica = newReplica(owner, {
        id: `${complete.name}-${n}`,
        replaces: '',
        nowMs: deps.clock.wallMs(),
      })
      return pendingReplicaOf(replica, [])
    })
    return schedule(view.nodes(), pending, { weights: deps.weights }).map((placement) =>
      decisionOf(placement, (nodeId) => state.get('node', nodeId)?.node?.name ?? ''),
    )
  }

  async function markForReplacement(
    decisions: readonly ScheduleDecision[],
    reason: string,
  ): Promise<void> {
    await state.update(() => {
      const placed = decisions
        .map(({ replicaId }) => state.held('replica', replicaId))
        .filter((held) => held !== undefined)
        .filter(({ record }) => !record.stopping && record.status!.nodeId !== '')
      return {
        preconditions: placed.map((held) => unchanged('replica', held)),
        writes: placed.map(({ id, record }) =>
          putRecord('replica', id, { ...record, replaceWanted: true, replaceReason: reason }),
        ),
        result: undefined,
      }
    })
  }

  return {
    async schedule(request: ScheduleRequest) {
      const { workload } = request
      if (!workload) throw new CloudlessError('invalid_argument', 'workload: must be set')
      if (request.dryRun) {
        return create(ScheduleResponseSchema, { decisions: dryRun(workload) })
      }
      const { id } = requireWorkload(state, workload.id || workload.name, workload.namespace)
      deps.placement.retryAll()
      await deps.placement.settled()
      return create(ScheduleResponseSchema, { decisions: decisionsOf(state, id) })
    },

    async reschedule(request: RescheduleRequest) {
      const { id } = requireWorkload(state, request.workloadId, request.namespace)
      const oldDecisions = decisionsOf(state, id)
      for (let first = 0; first < oldDecisions.length; first += recordsPerTransactionMax) {
        const some = oldDecisions.slice(first, first + recordsPerTransactionMax)
        await markForReplacement(some, request.reason || 'rescheduled')
      }
      await deps.placement.settled()
      const before = new Set(oldDecisions.map((decision) => decision.replicaId))
      const newDecisions = decisionsOf(state, id).filter(({ replicaId }) => !before.has(replicaId))
      return create(RescheduleResponseSchema, { oldDecisions, newDecisions })
    },
  }
}

function decisionsOf(state: ClusterState, workloadId: string): ScheduleDecision[] {
  return state
    .replicasOfWorkload(workloadId)
    .filter(({ record }) => !record.stopping)
    .map(({ record }) => recordedDecision(record))
}

function recordedDecision(record: ReplicaRecord): ScheduleDecision {
  const status = record.status!
  return create(ScheduleDecisionSchema, {
    replicaId: status.id,
    nodeId: status.nodeId,
    nodeName: status.nodeName,
    fragmentId: status.fragmentId,
    score: status.score,
    pendingReasons: status.pendingReasons,
  })
}

function decisionOf(placement: Placement, nameOf: (nodeId: string) => string): ScheduleDecision {
  if (placement.kind === 'unplaceable') {
    return create(ScheduleDecisionSchema, {
      replicaId: placement.replicaId,
      pendingReasons: placement.rejections.map((one) => create(PendingReasonSchema, one)),
    })
  }
  const { locality, reliability, cost, utilization, networkPenalty, preference } = placement.terms
  return create(ScheduleDecisionSchema, {
    replicaId: placement.replicaId,
    nodeId: placement.nodeId,
    nodeName: nameOf(placement.nodeId),
    fragmentId: `frag-${placement.replicaId}`,
    score: placement.score,
    scoreTerms: {
      locality,
      reliability,
      cost,
      utilization,
      network_penalty: networkPenalty,
      preference,
    },
  })
}
