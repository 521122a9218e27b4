/** The manifests that users apply, made of what was drawn. */
import { create } from '@bufbuild/protobuf'
import {
  AutoscalingSchema,
  CanaryPolicySchema,
  CronPolicySchema,
  DisconnectPolicySchema,
  ExecCheckSchema,
  HealthCheckSchema,
  JobPolicySchema,
  PlacementPolicySchema,
  RebalancePolicySchema,
  ResourceRequirementsSchema,
  RolloutStrategyKind,
  RolloutStrategySchema,
  WorkloadSchema,
  WorkloadSpecSchema,
  WorkloadType,
  type Workload,
  type WorkloadSpec,
} from '@cloudless/api'
import { imageOf } from '../container-behaviour.ts'
import type { PlannedWorkload, Strategy } from './workload-draws.ts'

type Spec = Partial<Omit<WorkloadSpec, '$typeName' | '$unknown'>>

const zones = { topologyKey: 'zone', maxSkew: 1 }

const kindByStrategy = {
  rolling: RolloutStrategyKind.ROLLING_UPDATE,
  recreate: RolloutStrategyKind.RECREATE,
  'blue-green': RolloutStrategyKind.BLUE_GREEN,
  canary: RolloutStrategyKind.CANARY,
} as const satisfies Record<Strategy, RolloutStrategyKind>

const readinessProbe = create(HealthCheckSchema, {
  periodMs: 5_000n,
  timeoutMs: 2_000n,
  check: { case: 'exec', value: create(ExecCheckSchema, { command: ['ready'] }) },
})

export function manifestOf(planned: PlannedWorkload): Workload {
  const { name, cpuMillicores, behaviour, version, priority } = planned
  const spec: Spec = {
    image: imageOf(behaviour, version),
    resources: create(ResourceRequirementsSchema, {
      requests: { cpuMillicores, memoryBytes: 64n << 20n },
    }),
    terminationGraceMs: BigInt(planned.graceMs),
    priority,
    ...specByType[planned.type](planned),
  }
  return create(WorkloadSchema, { name, spec: create(WorkloadSpecSchema, spec) })
}

const specByType: Readonly<Record<PlannedWorkload['type'], (planned: PlannedWorkload) => Spec>> = {
  service: (planned) => ({
    replicas: planned.replicas,
    rollout: rolloutOf(planned),
    readinessProbe,
    ...policiesOf(planned),
    ...(planned.isSpread
      ? { placement: create(PlacementPolicySchema, { topologySpread: [zones] }) }
      : {}),
  }),
  daemon: () => ({
    type: WorkloadType.DAEMON,
    rollout: create(RolloutStrategySchema, { maxUnavailable: 1 }),
    readinessProbe,
  }),
  job: (planned) => ({ type: WorkloadType.JOB, job: jobOf(planned) }),
  cron: (planned) => ({
    type: WorkloadType.CRON,
    job: jobOf(planned),
    cron: create(CronPolicySchema, {
      schedule: `*/${planned.everyMinutes} * * * *`,
      concurrencyPolicy: planned.concurrency,
    }),
  }),
}

function jobOf({ replicas, completions, retries }: PlannedWorkload) {
  return create(JobPolicySchema, { parallelism: replicas, completions, retries })
}

function rolloutOf(planned: PlannedWorkload) {
  const { strategy, maxSurge, maxUnavailable, pauseMs, bakeMs, progressDeadlineMs } = planned
  return create(RolloutStrategySchema, {
    ...{ strategy: kindByStrategy[strategy], maxSurge, maxUnavailable },
    pauseDurationMs: BigInt(pauseMs),
    progressDeadlineMs: BigInt(progressDeadlineMs),
    ...minAvailableOf(planned),
    ...(strategy === 'canary'
      ? { canary: create(CanaryPolicySchema, { percent: 30, bakeMs: BigInt(bakeMs) }) }
      : {}),
  })
}

/** What would leave an update no way to go is refused. */
function minAvailableOf({ minAvailable, maxSurge, replicas, autoscales }: PlannedWorkload) {
  if (minAvailable === undefined || replicas === 0) return {}
  const fewest = autoscales ? 1 : replicas
  return { minAvailable: Math.min(minAvailable, maxSurge === 0 ? fewest - 1 : replicas) }
}

/** Of its request, in hundredths. */
export const cpuTargetPercent = 50

function autoscalingOf(maxReplicas: number) {
  return create(AutoscalingSchema, {
    ...{ minReplicas: 1, maxReplicas, scaleDownStabilizationMs: 60_000n },
    metrics: [{ type: 'cpu', targetPercent: cpuTargetPercent }],
  })
}

function policiesOf({ replicas, rebalances, autoscales, onDisconnect }: PlannedWorkload): Spec {
  const policies: Spec = {}
  if (autoscales) policies.autoscaling = autoscalingOf(replicas)
  if (rebalances) policies.rebalance = create(RebalancePolicySchema, { enabled: true })
  if (onDisconnect === undefined) return policies
  const { keep, onReturn, replaceAfterMs, stopAfterMs } = onDisconnect
  policies.onDisconnect = create(DisconnectPolicySchema, {
    ...{ keep, onReturn, stopAfterMs: BigInt(stopAfterMs) },
    ...(keep ? {} : { replaceAfterMs: BigInt(replaceAfterMs) }),
  })
  return policies
}
