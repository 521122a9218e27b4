/** CoordinatorService's calls about where replicas go. */
import { clone, create } from '@bufbuild/protobuf'
import {
  defaultWorkload,
  errorOfProblems,
  publicAddressAnnotation,
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
  WorkloadType,
  workloadTypeOf,
  type Workload,
  type WorkloadSpec,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { PlacementController } from '../controllers/placement-controller.ts'
import { isOver } from '../controllers/job-attempts.ts'
import { newReplica } from '../controllers/replica-records.ts'
import type { SchedulerView } from '../controllers/scheduler-view.ts'
import { putRecord, unchanged, type ClusterState } from '../state/cluster-state.ts'
import { firstThatFit } from '../state/transaction-limits.ts'
import { requireWorkload, workloadIdOf } from './find.ts'
import { refuseReschedule } from './kind-changes.ts'
import { spareReplicas } from './ready-replicas.ts'
import { tryOut } from './trial.ts'

export interface ScheduleHandlersDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly placement: PlacementController
  readonly admit: (workload: Workload) => void
  /** `why`: what the operator said, in any words; empty: nothing. */
  readonly onReschedule: (workload: Workload, why: string) => void
}

/** Of one trial: what is decided in a moment, and fits into one answer. */
const trialReplicasMax = 10_000
/** Of what an operator gives as the reason. */
const whyLengthMax = 256

export function scheduleHandlers(deps: ScheduleHandlersDeps) {
  const { state, view } = deps

  function dryRun(workload: Workload, explain: boolean): ScheduleDecision[] {
    const complete = defaultWorkload(clone(WorkloadSchema, workload))
    const problems = validateWorkload(complete)
    if (problems.length > 0) throw errorOfProblems('the workload is not valid', problems)
    deps.admit(complete)
    const nodeIds = workloadTypeOf(complete.spec) === WorkloadType.DAEMON ? membersOf(state) : []
    const replicas = nodeIds.length || triedReplicasOf(complete.spec!)
    if (replicas > trialReplicasMax) {
      throw new CloudlessError(
        'resource_exhausted',
        `a trial has at most ${trialReplicasMax} replicas, not ${replicas}: try fewer`,
      )
    }
    const id = workloadIdOf(complete.namespace, complete.name)
    const owner = create(WorkloadRecordSchema, { workload: { ...complete, id } })
    const kind = {
      ...view.kindOf(newReplica(owner, { id: complete.name, replaces: '', nowMs: 0 })),
      // Not what a workload of that name on record says.
      wantsPublicAddress: complete.annotations[publicAddressAnnotation] === 'true',
    }
    const pending = Array.from({ length: replicas }, (_, n) => ({
      id: `${complete.name}-${n}`,
      kind,
      excludedNodeIds: [],
      ...(nodeIds[n] === undefined ? {} : { boundNodeId: nodeIds[n] }),
    }))
    const { weights, preemptionPriorityAbove } = view.configuration()
    return tryOut(view.table, pending, {
      weights,
      explain,
      priorityAbove: preemptionPriorityAbove,
      // Its own older replicas are its rollout's matter.
      spareOf: (workloadId) => (workloadId === id ? 0 : spareReplicas(state, workloadId)),
    })
  }

  // Never the operator's words: by others, such as "drained", controllers know what is theirs.
  const replaceReason = 'rescheduled'

  async function markForReplacement(decisions: readonly ScheduleDecision[]): Promise<void> {
    await state.update(() => {
      const placed = decisions
        .map(({ replicaId }) => state.held('replica', replicaId))
        .filter((held) => held !== undefined)
        .filter(({ record }) => !record.stopping && record.status!.nodeId !== '' && !isOver(record))
      return {
        preconditions: placed.map((held) => unchanged('replica', held)),
        writes: placed.map(({ id, record }) =>
          putRecord('replica', id, { ...record, replaceWanted: true, replaceReason }),
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
        return create(ScheduleResponseSchema, { decisions: dryRun(workload, request.explain) })
      }
      const { id } = requireWorkload(state, workload.id || workload.name, workload.namespace)
      deps.placement.retryAll()
      await deps.placement.settled()
      return create(ScheduleResponseSchema, { decisions: decisionsOf(state, id) })
    },

    async reschedule(request: RescheduleRequest) {
      const { id, record } = requireWorkload(state, request.workloadId, request.namespace)
      const workload = record.workload!
      refuseReschedule(workload)
      const oldDecisions = decisionsOf(state, id)
      const bytesOf = (replicaId: string): number => state.held('replica', replicaId)?.bytes ?? 0
      let left = oldDecisions.map((decision) => ({ decision, bytes: bytesOf(decision.replicaId) }))
      while (left.length > 0) {
        const some = firstThatFit(left)
        left = left.slice(some.length)
        const decisions = some.map(({ decision }) => decision)
        await markForReplacement(decisions)
      }
      deps.onReschedule(workload, request.reason.slice(0, whyLengthMax))
      await deps.placement.settled()
      const before = new Set(oldDecisions.map((decision) => decision.replicaId))
      const newDecisions = decisionsOf(state, id).filter(({ replicaId }) => !before.has(replicaId))
      return create(RescheduleResponseSchema, { oldDecisions, newDecisions })
    },
  }
}

/** A daemon is tried out on every node. */
function membersOf(state: ClusterState): readonly string[] {
  return [...state.all('node')].map(({ id }) => id)
}

/** As many as there would be at a time. */
function triedReplicasOf({ replicas, job }: WorkloadSpec): number {
  return job === undefined ? replicas : Math.min(job.parallelism, job.completions)
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
