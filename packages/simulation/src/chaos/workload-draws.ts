/** Workloads as seeds draw them: of every type and strategy there is. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  CanaryPolicySchema,
  DisconnectPolicySchema,
  ExecCheckSchema,
  type HealthCheckSchema,
  RebalancePolicySchema,
  RolloutStrategyKind,
  WorkloadSchema,
  type WorkloadSpecSchema,
  type Workload,
} from '@cloudless/api'
import type { Random } from '@cloudless/base'
import { imageOf, type BehaviourName } from '../container-behaviour.ts'
import { chance, pickOne, wholeBetween } from '../random-streams.ts'

export const strategies = ['rolling', 'recreate', 'blue-green', 'canary'] as const
export type Strategy = (typeof strategies)[number]

/** What becomes of replicas on a node that is away, and when it returns. */
export interface PlannedDisconnect {
  readonly replaceAfterMs: number
  readonly keep: boolean
  readonly stopAfterMs: number
  readonly onReturn: string
}

export interface PlannedWorkload {
  readonly name: string
  readonly replicas: number
  readonly cpuMillicores: number
  readonly behaviour: BehaviourName
  readonly version: number
  readonly strategy: Strategy
  readonly maxSurge: number
  readonly maxUnavailable: number
  /** Undefined: what follows from the rest. */
  readonly minAvailable: number | undefined
  readonly pauseMs: number
  /** Of canaries; 0: until they are promoted. */
  readonly bakeMs: number
  readonly progressDeadlineMs: number
  readonly priority: number
  readonly graceMs: number
  readonly isSpread: boolean
  readonly rebalances: boolean
  readonly onDisconnect: PlannedDisconnect | undefined
}

/** Undefined when there is no room for another. */
export function drawWorkload(
  random: Random,
  { name, millicoresMax }: { readonly name: string; readonly millicoresMax: number },
): PlannedWorkload | undefined {
  const cpuMillicores = pickOne(random, [50, 100, 250, 500])
  const replicasMax = Math.min(8, Math.floor(millicoresMax / cpuMillicores))
  if (replicasMax < 1) return undefined
  const replicas = wholeBetween(random, 1, replicasMax)
  const maxUnavailable = wholeBetween(random, 0, Math.min(2, replicas))
  return {
    ...{ name, replicas, cpuMillicores, maxUnavailable, version: 1 },
    behaviour: pickOne(random, ['steady', 'steady', 'slow', 'flaky', 'stubborn']),
    strategy: pickOne(random, strategies),
    maxSurge: wholeBetween(random, 0, 3),
    minAvailable: chance(random, 0.4) ? wholeBetween(random, 0, replicas) : undefined,
    pauseMs: chance(random, 0.2) ? 20_000 : 0,
    bakeMs: pickOne(random, [0, 20_000, 120_000]),
    progressDeadlineMs: pickOne(random, [60_000, 180_000, 600_000]),
    priority: pickOne(random, [0, 0, 0, 100, 2_000]),
    graceMs: pickOne(random, [1_000, 10_000, 30_000]),
    isSpread: chance(random, 0.3),
    rebalances: chance(random, 0.3),
    onDisconnect: chance(random, 0.5) ? drawDisconnect(random) : undefined,
  }
}

function drawDisconnect(random: Random): PlannedDisconnect {
  return {
    replaceAfterMs: pickOne(random, [0, 5_000, 60_000]),
    keep: chance(random, 0.15),
    stopAfterMs: pickOne(random, [0, 0, 30_000]),
    onReturn: pickOne(random, ['original', 'replacement', 'best_placed', 'longest_running']),
  }
}

const kindByStrategy = {
  rolling: RolloutStrategyKind.ROLLING_UPDATE,
  recreate: RolloutStrategyKind.RECREATE,
  'blue-green': RolloutStrategyKind.BLUE_GREEN,
  canary: RolloutStrategyKind.CANARY,
} as const satisfies Record<Strategy, RolloutStrategyKind>

const probe: MessageInitShape<typeof HealthCheckSchema> = {
  periodMs: 5_000n,
  timeoutMs: 2_000n,
  check: { case: 'exec', value: create(ExecCheckSchema, { command: ['ready'] }) },
}

function policiesOf({ rebalances, onDisconnect }: PlannedWorkload) {
  const init: MessageInitShape<typeof WorkloadSpecSchema> = {}
  if (rebalances) init.rebalance = create(RebalancePolicySchema, { enabled: true })
  if (onDisconnect === undefined) return init
  const { keep, onReturn, replaceAfterMs, stopAfterMs } = onDisconnect
  init.onDisconnect = create(DisconnectPolicySchema, {
    ...{ keep, onReturn, stopAfterMs: BigInt(stopAfterMs) },
    ...(keep ? {} : { replaceAfterMs: BigInt(replaceAfterMs) }),
  })
  return init
}

/** What would leave an update no way to go is refused. */
function minAvailableOf({ minAvailable, maxSurge, replicas }: PlannedWorkload) {
  if (minAvailable === undefined || replicas === 0) return {}
  return { minAvailable: Math.min(minAvailable, maxSurge === 0 ? replicas - 1 : replicas) }
}

/** The manifest a user would apply. */
export function manifestOf(planned: PlannedWorkload): Workload {
  const { name, replicas, cpuMillicores, behaviour, version } = planned
  const spec: MessageInitShape<typeof WorkloadSpecSchema> = {
    image: imageOf(behaviour, version),
    replicas,
    resources: { requests: { cpuMillicores, memoryBytes: 64n << 20n } },
    rollout: {
      strategy: kindByStrategy[planned.strategy],
      maxSurge: planned.maxSurge,
      maxUnavailable: planned.maxUnavailable,
      pauseDurationMs: BigInt(planned.pauseMs),
      ...minAvailableOf(planned),
      ...(planned.strategy === 'canary'
        ? { canary: create(CanaryPolicySchema, { percent: 30, bakeMs: BigInt(planned.bakeMs) }) }
        : {}),
      progressDeadlineMs: BigInt(planned.progressDeadlineMs),
    },
    readinessProbe: probe,
    priority: planned.priority,
    terminationGraceMs: BigInt(planned.graceMs),
    ...policiesOf(planned),
    ...(planned.isSpread
      ? { placement: { topologySpread: [{ topologyKey: 'zone', maxSkew: 1 }] } }
      : {}),
  }
  return create(WorkloadSchema, { name, spec })
}
