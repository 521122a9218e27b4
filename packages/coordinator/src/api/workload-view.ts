/** What is served of a workload: its record, with a status computed from its replicas. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  ReplicaState,
  WorkloadPhase,
  WorkloadStatusSchema,
  type ReplicaRecord,
  type ReplicaStatus,
  type Workload,
  type WorkloadRecord,
  type WorkloadStatus,
} from '@cloudless/api'
import type { ClusterState, Held } from '../state/cluster-state.ts'
import { viewReplica, viewRollout } from './rollout-view.ts'

export interface WorkloadViewOptions {
  /** Fill status.replicas. */
  readonly withReplicas: boolean
  readonly modRevision: number
}

export function viewWorkload(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  options: WorkloadViewOptions,
): Workload {
  return {
    ...record.workload!,
    resourceVersion: BigInt(options.modRevision),
    status: statusOf(record, replicas, options.withReplicas),
  }
}

/** The same of a held record, with the replicas there are now. */
export function viewHeldWorkload(
  state: Pick<ClusterState, 'replicasOfWorkload'>,
  held: Held<WorkloadRecord>,
  withReplicas: boolean,
): Workload {
  const replicas = state.replicasOfWorkload(held.id).map((replica) => replica.record)
  return viewWorkload(held.record, replicas, { withReplicas, modRevision: held.modRevision })
}

export function statusOf(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  withReplicas = false,
): WorkloadStatus {
  const desired = record.deletedAtMs > 0n ? 0 : record.workload!.spec!.replicas
  const statuses = replicas.map((r) => r.status!)
  const live = replicas.filter((r) => !r.stopping && r.status!.state !== ReplicaState.LOST)
  const ready = live.filter((r) => r.status!.ready)
  const updated = live.filter((r) => r.status!.revision === record.workload!.revision)
  const phase = phaseOf(record, replicas, live, desired)
  const rollout = viewRollout(record, replicas)
  return create(WorkloadStatusSchema, {
    phase,
    message: messageOf(phase, live, desired),
    readyReplicas: ready.length,
    currentReplicas: live.length,
    desiredReplicas: desired,
    updatedReplicas: updated.length,
    replicas: withReplicas ? replicas.map((r) => viewReplica(r, record)).sort(byCreation) : [],
    lastTransitionMs: lastChangeOf(record, statuses),
    ...(record.workload!.spec!.autoscaling &&
      record.autoscaling && { autoscaling: record.autoscaling }),
    ...(rollout && { rollout }),
  })
}

function phaseOf(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  live: readonly ReplicaRecord[],
  desired: number,
): WorkloadPhase {
  if (record.deletedAtMs > 0n) return WorkloadPhase.TERMINATING
  if (replicas.length === 0 && desired > 0) return WorkloadPhase.PENDING
  const current = live.filter(
    (r) => r.status!.revision === record.workload!.revision && !r.replaceWanted,
  )
  const inState = (state: ReplicaState): number =>
    current.filter((r) => r.status!.state === state).length
  if (inState(ReplicaState.FAILED) > 0) return WorkloadPhase.FAILED
  if (desired > 0 && inState(ReplicaState.STOPPED) === desired) return WorkloadPhase.SUCCEEDED
  if (inState(ReplicaState.PENDING) > 0) return WorkloadPhase.SCHEDULING
  const settled = live.length === current.length && current.length === desired
  const done = current.every((r) => r.status!.ready || r.status!.state === ReplicaState.STOPPED)
  return settled && done ? WorkloadPhase.RUNNING : WorkloadPhase.UPDATING
}

function messageOf(phase: WorkloadPhase, live: readonly ReplicaRecord[], desired: number): string {
  if (phase === WorkloadPhase.RUNNING || phase === WorkloadPhase.SUCCEEDED) return ''
  const troubled = live.find((r) => !r.status!.ready && r.status!.message !== '')
  const ready = live.filter((r) => r.status!.ready).length
  const progress = `${ready} of ${desired} replicas ready`
  return troubled ? `${progress}; ${troubled.status!.id}: ${troubled.status!.message}` : progress
}

function lastChangeOf(record: WorkloadRecord, statuses: readonly ReplicaStatus[]): bigint {
  let newest = record.workload!.updatedAtMs
  for (const status of statuses) {
    for (const atMs of [status.createdAtMs, status.startedAtMs, status.readyAtMs]) {
      if (atMs > newest) newest = atMs
    }
  }
  return newest
}

function byCreation(a: ReplicaStatus, b: ReplicaStatus): number {
  return Number(a.createdAtMs - b.createdAtMs) || (a.id < b.id ? -1 : 1)
}
