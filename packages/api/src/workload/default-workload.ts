/**
 * Fills in what a workload leaves open, with the defaults its proto promises, so that nothing after the API has to know
 * them. Applying the defaults twice changes nothing more.
 */
import { clone, create } from '@bufbuild/protobuf'
import {
  ResourceCapacitySchema,
  ResourceRequirementsSchema,
  type ResourceRequirements,
} from '../gen/cloudless/v1/resources_pb.ts'
import {
  CanaryPolicySchema,
  ImagePullPolicy,
  RestartPolicyKind,
  RestartPolicySchema,
  RolloutStrategyKind,
  RolloutStrategySchema,
  WorkloadSchema,
  WorkloadSpecSchema,
  type HealthCheck,
  type PlacementPolicy,
  type RolloutStrategy,
  type Workload,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { parseImageReference } from '../image-reference.ts'
import { fillAutoscaling } from './autoscaling.ts'
import { fillPolicies } from './disconnect-policy.ts'
import { fillKind, hasRollout } from './kinds.ts'

export const namespaceDefault = 'default'

/** A copy with every default filled in. Two things stay open: minAvailable, which follows the number of replicas, and
 * the agent's own defaults (pids, user, working directory). */
export function defaultWorkload(workload: Workload): Workload {
  const filled = clone(WorkloadSchema, workload)
  filled.namespace ||= namespaceDefault
  if (filled.spec !== undefined) filled.spec = defaultWorkloadSpec(filled.spec)
  return filled
}

export function defaultWorkloadSpec(spec: WorkloadSpec): WorkloadSpec {
  const filled = clone(WorkloadSpecSchema, spec)
  fillKind(filled)
  filled.resources = defaultResources(filled.resources)
  filled.imagePullPolicy ||= pullPolicyOf(filled.image)
  filled.terminationGraceMs ??= 30_000n
  // Clients find a workload by its ports: one without any has none to wait for.
  filled.shutdownDelayMs ??= filled.ports.length > 0 ? 1_000n : 0n

  filled.restartPolicy ??= create(RestartPolicySchema)
  filled.restartPolicy.policy ||= RestartPolicyKind.ALWAYS
  filled.restartPolicy.backoffMs ||= 1_000n

  if (hasRollout(filled)) {
    filled.rollout ??= create(RolloutStrategySchema)
    fillRollout(filled.rollout)
  }

  fillPolicies(filled)
  for (const port of filled.ports) port.protocol ||= 'TCP'
  for (const volume of filled.secretVolumes) volume.mode ||= 0o400
  for (const probe of [filled.startupProbe, filled.livenessProbe, filled.readinessProbe]) {
    if (probe !== undefined) fillProbe(probe)
  }
  if (filled.placement !== undefined) fillPlacement(filled.placement)
  fillAutoscaling(filled)
  return filled
}

function defaultResources(resources: ResourceRequirements | undefined): ResourceRequirements {
  const filled = resources ?? create(ResourceRequirementsSchema)
  const requests = (filled.requests ??= create(ResourceCapacitySchema))
  const limits = (filled.limits ??= create(ResourceCapacitySchema))
  requests.cpuMillicores ||= limits.cpuMillicores
  requests.memoryBytes ||= limits.memoryBytes
  requests.storageBytes ||= limits.storageBytes
  requests.bandwidthBps ||= limits.bandwidthBps
  requests.gpuCount ||= limits.gpuCount
  requests.iopsClass ||= limits.iopsClass
  if (requests.gpuModels.length === 0) requests.gpuModels = [...limits.gpuModels]
  return filled
}

/** "latest" moves; every other tag is taken to stay. */
function pullPolicyOf(image: string): ImagePullPolicy {
  const parsed = parseImageReference(image)
  const moves =
    parsed.kind === 'ok' && parsed.reference.tag === 'latest' && !parsed.reference.digest
  return moves ? ImagePullPolicy.ALWAYS : ImagePullPolicy.IF_NOT_PRESENT
}

function fillRollout(rollout: RolloutStrategy): void {
  rollout.strategy ||= RolloutStrategyKind.ROLLING_UPDATE
  if (rollout.maxUnavailable === 0) rollout.maxSurge ||= 1
  rollout.progressDeadlineMs ||= 600_000n
  rollout.autoRollback ??= true
  rollout.historyLimit ||= 10
  if (rollout.strategy !== RolloutStrategyKind.CANARY) return
  rollout.canary ??= create(CanaryPolicySchema)
  if (rollout.canary.replicas === 0) rollout.canary.percent ||= 10
}

function fillProbe(probe: HealthCheck): void {
  probe.initialDelayMs ??= 10_000n
  probe.periodMs ||= 10_000n
  probe.timeoutMs ||= 3_000n
  probe.successThreshold ||= 1
  probe.failureThreshold ||= 3
  if (probe.check.case === 'http') {
    probe.check.value.path ||= '/'
    probe.check.value.scheme ||= 'HTTP'
  }
}

function fillPlacement(placement: PlacementPolicy): void {
  for (const affinity of [...placement.affinity, ...placement.antiAffinity]) {
    affinity.topologyKey ||= 'node'
    if (!affinity.required) affinity.weight ||= 1
  }
  for (const toleration of placement.tolerations) toleration.operator ||= 'Equal'
  for (const spread of placement.topologySpread) spread.maxSkew ||= 1
}
