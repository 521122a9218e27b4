/** Figures that are read off the cluster's state when somebody asks for them, rather than counted as it changes. */
import { NodePhase, ReplicaState, WorkloadPhase, type AutoscalingStatus } from '@cloudless/api'
import type { MetadataStore } from '@cloudless/metadata'
import type { CoordinatorMetrics } from '@cloudless/observability'
import { viewNode, type NodeViewDeps } from '../api/node-view.ts'
import type { MassLossController } from '../controllers/mass-loss-controller.ts'
import { statusOf } from '../api/workload-view.ts'
import { enumName } from '../state/enum-names.ts'
import type { ClusterState } from '../state/cluster-state.ts'

export interface GaugesDeps {
  readonly metrics: CoordinatorMetrics
  readonly state: ClusterState
  readonly nodeView: NodeViewDeps
  readonly queueDepth: () => number
  readonly autoscalingOf: (workloadId: string) => AutoscalingStatus | undefined
  readonly massLoss: Pick<MassLossController, 'heldCount'>
}

export function refreshGauges(deps: GaugesDeps): void {
  const { metrics, state, nodeView, queueDepth, massLoss } = deps
  metrics.membership.heldNodes.set({}, massLoss.heldCount)
  metrics.scheduling.queueDepth.set({}, queueDepth())
  refreshNodes(metrics, state, nodeView)
  refreshWorkloads(metrics, state)
  refreshAutoscaling(deps)
}

export async function refreshStoreGauges(
  metrics: CoordinatorMetrics,
  store: MetadataStore,
): Promise<void> {
  const { revision, sizeBytes } = await store.status()
  metrics.metadata.revision.set({}, revision)
  metrics.metadata.sizeBytes.set({}, sizeBytes)
}

function refreshNodes(
  metrics: CoordinatorMetrics,
  state: ClusterState,
  nodeView: NodeViewDeps,
): void {
  const states = new Map<string, number>()
  for (const phase of Object.keys(NodePhase)) states.set(phase, 0)
  const running = new Map<string, number>()
  for (const { record } of state.all('replica')) {
    const { nodeId, state: replicaState } = record.status!
    if (replicaState !== ReplicaState.RUNNING) continue
    running.set(nodeId, (running.get(nodeId) ?? 0) + 1)
  }
  const { membership, workloads } = metrics
  for (const held of state.all('node')) {
    const node = viewNode(nodeView, held)
    const { id, region, zone, capacity, usage, reserved, allocatable } = node
    const phase = enumName(NodePhase, node.status!.phase)
    states.set(phase, (states.get(phase) ?? 0) + 1)
    membership.reliabilityScore.set({ node_id: id, region, zone }, node.reliabilityScore)
    for (const [resource, value] of amounts(capacity)) {
      membership.resourceCapacity.set({ node_id: id, resource }, value)
    }
    for (const [resource, value] of amounts(usage)) {
      membership.resourceUsage.set({ node_id: id, resource }, value)
    }
    const cores = allocatable?.cpuMillicores ?? 0
    const promised = cores > 0 ? (reserved?.cpuMillicores ?? 0) / cores : 0
    membership.fragmentUtilization.set({ node_id: id }, promised)
    workloads.runningContainers.set({ node_id: id }, running.get(id) ?? 0)
  }
  membership.nodesByState.replace([...states].map(([name, count]) => [{ state: name }, count]))
}

interface Amounts {
  readonly cpuMillicores: number
  readonly memoryBytes: bigint
  readonly storageBytes: bigint
  readonly bandwidthBps: bigint
  readonly gpuCount: number
}

function amounts(resources: Amounts | undefined) {
  if (!resources) return []
  return [
    ['cpu', resources.cpuMillicores / 1_000],
    ['memory', Number(resources.memoryBytes)],
    ['disk', Number(resources.storageBytes)],
    ['bandwidth', Number(resources.bandwidthBps)],
    ['gpu', resources.gpuCount],
  ] as const
}

function refreshAutoscaling({ metrics, state, autoscalingOf }: GaugesDeps): void {
  const { replicasRecommended } = metrics.workloads
  const recommended: Parameters<typeof replicasRecommended.replace>[0][number][] = []
  for (const { id, record } of state.all('workload')) {
    const status = autoscalingOf(id)
    const labels = { workload_id: id, namespace: record.workload!.namespace }
    if (status) recommended.push([labels, status.recommended])
  }
  replicasRecommended.replace(recommended)
}

function refreshWorkloads({ workloads }: CoordinatorMetrics, state: ClusterState): void {
  const phases = new Map<string, { phase: string; namespace: string; count: number }>()
  for (const { id, record } of state.all('workload')) {
    const { namespace } = record.workload!
    const replicas = state.replicasOfWorkload(id).map((held) => held.record)
    const status = statusOf(record, replicas)
    const labels = { workload_id: id, namespace }
    workloads.replicasDesired.set(labels, status.desiredReplicas)
    workloads.replicasReady.set(labels, status.readyReplicas)
    const phase = enumName(WorkloadPhase, status.phase)
    const entry = phases.get(`${phase}/${namespace}`) ?? { phase, namespace, count: 0 }
    entry.count++
    phases.set(`${phase}/${namespace}`, entry)
  }
  workloads.byPhase.replace(
    [...phases.values()].map(({ phase, namespace, count }) => [{ phase, namespace }, count]),
  )
}
