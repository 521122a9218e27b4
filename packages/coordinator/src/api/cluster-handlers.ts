/** CoordinatorService.GetClusterStatus: the cluster at a glance. */
import { create } from '@bufbuild/protobuf'
import {
  ClusterStatusSchema,
  NodePhase,
  ResourceUsageSchema,
  WorkloadPhase,
  type ClusterRecord,
} from '@cloudless/api'
import { version } from '@cloudless/base'
import type { CertificateAuthority } from '@cloudless/identity'
import type { MetadataStore } from '@cloudless/metadata'
import { enumName } from '../state/enum-names.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import type { MassLossController } from '../controllers/mass-loss-controller.ts'
import { isOver } from '../controllers/job-attempts.ts'
import type { RestoredBehind, RestoredView } from '../controllers/restored-behind.ts'
import { resourcesOf, sumOf } from '../controllers/replica-kinds.ts'
import { capacityOf } from './node-view.ts'
import { statusOf } from './workload-view.ts'

export interface ClusterHandlersDeps {
  readonly state: ClusterState
  readonly store: MetadataStore
  readonly liveNodes: LiveNodes
  readonly authority: CertificateAuthority
  readonly cluster: ClusterRecord
  readonly startedAtMs: number
  readonly coordinators: () => readonly string[]
  readonly queueDepth: () => number
  readonly massLoss: Pick<MassLossController, 'status'>
  readonly restored: Pick<RestoredBehind, 'status'>
}

export function clusterHandlers(deps: ClusterHandlersDeps) {
  const { state } = deps
  return {
    async getClusterStatus() {
      const store = await deps.store.status()
      const massLoss = deps.massLoss.status()
      const restored = deps.restored.status()
      const nodes = [...state.all('node')].map((held) => held.record.node!)
      const alive = nodes.filter((node) => node.status!.phase !== NodePhase.OFFLINE)
      const replicas = [...state.all('replica')].map((held) => held.record)
      const workloads = [...state.all('workload')].map(({ id, record }) =>
        statusOf(
          record,
          state.replicasOfWorkload(id).map((held) => held.record),
        ),
      )
      const total = (field: 'desiredReplicas' | 'readyReplicas'): number =>
        workloads.reduce((sum, status) => sum + status[field], 0)
      return create(ClusterStatusSchema, {
        clusterId: deps.cluster.clusterId,
        trustDomain: deps.authority.trustDomain,
        coordinatorVersion: version,
        metadataEngine: store.engine,
        startedAtMs: BigInt(deps.startedAtMs),
        nodesByPhase: countBy(nodes.map((node) => enumName(NodePhase, node.status!.phase))),
        workloadsByPhase: countBy(workloads.map(({ phase }) => enumName(WorkloadPhase, phase))),
        replicasDesired: total('desiredReplicas'),
        replicasReady: total('readyReplicas'),
        allocatable: capacityOf(sumOf(alive.map((node) => resourcesOf(node.allocatable)))),
        reserved: capacityOf(
          sumOf(
            replicas
              .filter((replica) => replica.status!.nodeId !== '' && !isOver(replica))
              .map((replica) => resourcesOf(replica.status!.resources)),
          ),
        ),
        usage: usageOf(
          deps,
          nodes.map((node) => node.id),
        ),
        caFingerprint: deps.authority.fingerprint,
        caExpiresAtMs: BigInt(deps.authority.expiresAtMs),
        revision: BigInt(store.revision),
        schedulingQueueDepth: deps.queueDepth(),
        commitLatencyMs: store.commitLatencyMs,
        coordinators: [...deps.coordinators()],
        ...(massLoss && { massLoss }),
        ...(restored && { restored: restoredOf(restored) }),
      })
    },
  }
}

function restoredOf({ restoredAtMs, backupAtMs, unknownReplicas }: RestoredView) {
  return {
    restoredAtMs: BigInt(restoredAtMs),
    backupAtMs: BigInt(backupAtMs),
    unknownReplicas,
  }
}

function usageOf(deps: ClusterHandlersDeps, nodeIds: readonly string[]) {
  const usage = create(ResourceUsageSchema)
  for (const nodeId of nodeIds) {
    const one = deps.liveNodes.get(nodeId)?.usage
    if (!one) continue
    usage.cpuMillicores += one.cpuMillicores
    usage.memoryBytes += one.memoryBytes
    usage.storageBytes += one.storageBytes
    usage.bandwidthBps += one.bandwidthBps
    usage.gpuCount += one.gpuCount
  }
  return usage
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
