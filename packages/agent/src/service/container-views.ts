/** Replicas and containers as the contract shows them. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  ContainerHealthSchema,
  ContainerStatsSchema,
  ContainerStatusSchema,
  FragmentSchema,
  FragmentStatus,
  type ContainerHealth,
  type ContainerStats,
  type ContainerStatus,
  type Fragment,
} from '@cloudless/api'
import type { ContainerUsage } from '@cloudless/runtime'
import { observeReplica } from '../replica/replica-observation.ts'
import type { ReplicaMachine, Stage } from '../replica/replica-state.ts'

const stateByStage: Readonly<Record<Stage, string>> = {
  new: 'created',
  pulling: 'created',
  starting: 'created',
  running: 'running',
  waiting: 'stopped',
  cancelling: 'created',
  lingering: 'running',
  stopping: 'running',
  removing: 'stopped',
  removed: 'stopped',
  succeeded: 'stopped',
  failed: 'failed',
}

export function containerStatusOf(
  state: ReplicaMachine,
  usage: ContainerUsage | undefined,
): ContainerStatus {
  const observed = observeReplica(state)
  return create(ContainerStatusSchema, {
    containerId: state.containerId,
    state: stateByStage[state.stage],
    image: state.assignment.spec?.image ?? '',
    startedAtMs: observed.startedAtMs,
    finishedAtMs: BigInt(Math.round(state.lastEnd?.atMs ?? 0)),
    exitCode: state.lastEnd?.exitCode ?? 0,
    reason: observed.reason || (state.stage === 'running' ? '' : (state.lastEnd?.reason ?? '')),
    replicaId: state.assignment.replicaId,
    workloadId: state.assignment.workloadId,
    ...(usage === undefined
      ? {}
      : {
          usage: {
            cpuMillicores: usage.cpuMillicores,
            memoryBytes: BigInt(usage.memoryBytes),
            storageBytes: BigInt(usage.storageBytes),
          },
        }),
  })
}

export function containerStatsOf(usage: ContainerUsage): ContainerStats {
  return create(ContainerStatsSchema, {
    containerId: usage.containerId,
    replicaId: usage.replicaId,
    cpuMillicores: usage.cpuMillicores,
    cpuTotalUs: BigInt(Math.round(usage.cpuTotalUs)),
    memoryBytes: BigInt(usage.memoryBytes),
    memoryLimitBytes: BigInt(usage.memoryLimitBytes),
    pids: usage.pids,
    storageBytes: BigInt(usage.storageBytes),
    networkReceivedBytes: BigInt(usage.networkReceivedBytes),
    networkSentBytes: BigInt(usage.networkSentBytes),
    throttledUs: BigInt(Math.round(usage.throttledUs)),
  })
}

/** What the replica holds of the node. */
export function fragmentOf(state: ReplicaMachine, nodeId: string): Fragment {
  const { assignment } = state
  const { requests, limits } = assignment.spec?.resources ?? {}
  const resources = requests ?? limits
  return create(FragmentSchema, {
    id: assignment.fragmentId || `frag-${assignment.replicaId}`,
    nodeId,
    workloadId: assignment.workloadId,
    workloadName: assignment.workloadName,
    namespace: assignment.namespace,
    replicaId: assignment.replicaId,
    status: fragmentStatusOf(state.stage),
    ...(resources === undefined ? {} : { resources }),
  })
}

function fragmentStatusOf(stage: Stage): FragmentStatus {
  if (stage === 'running') return FragmentStatus.ALLOCATED
  const releasing = ['lingering', 'stopping', 'removing', 'removed'].includes(stage)
  return releasing ? FragmentStatus.RELEASING : FragmentStatus.RESERVED
}

/** What its probes last said. */
export interface ProbeHealth {
  readonly livenessFailures: number
  readonly readinessFailures: number
  readonly livenessHealthy: boolean
  readonly readinessHealthy: boolean
  /** Unix milliseconds; 0 before the first. */
  readonly livenessAtMs: number
  readonly readinessAtMs: number
}

export function containerHealthOf(containerId: string, health: ProbeHealth): ContainerHealth {
  return create(ContainerHealthSchema, {
    containerId,
    livenessHealthy: health.livenessHealthy,
    readinessHealthy: health.readinessHealthy,
    livenessConsecutiveFailures: health.livenessFailures,
    readinessConsecutiveFailures: health.readinessFailures,
    livenessLastCheckTime: BigInt(Math.floor(health.livenessAtMs / 1_000)),
    readinessLastCheckTime: BigInt(Math.floor(health.readinessAtMs / 1_000)),
  })
}
