/** Workloads as seeds draw them: of every type and strategy there is. */
import type { Random } from '@cloudless/base'
import type { BehaviourName } from '../container-behaviour.ts'
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

export const workloadTypes = ['service', 'daemon', 'job', 'cron'] as const
export type PlannedType = (typeof workloadTypes)[number]

/** What belongs to other types means nothing. */
export interface PlannedWorkload {
  readonly name: string
  readonly type: PlannedType
  /** Of a job: those that run at the same time. */
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
  /** It has as many replicas as its load asks for: from one to all that were drawn. */
  readonly autoscales: boolean
  readonly onDisconnect: PlannedDisconnect | undefined
  /** Of jobs. */
  readonly completions: number
  readonly retries: number
  /** Of crons. */
  readonly everyMinutes: number
  readonly concurrency: string
}

const behavioursOfServices = ['steady', 'steady', 'slow', 'flaky', 'stubborn'] as const
const behavioursOfJobs = ['finishing', 'finishing', 'trying', 'failing'] as const

/** Of what replaces a behaviour that was drawn for services. */
export function behaviourFor(
  random: Random,
  type: PlannedType,
  behaviours: readonly BehaviourName[],
): BehaviourName {
  return pickOne(random, type === 'service' || type === 'daemon' ? behaviours : behavioursOfJobs)
}

export interface DrawRoom {
  readonly name: string
  /** What is left of the cluster for it. */
  readonly millicoresMax: number
  /** How many nodes there may come to be. */
  readonly nodesMax: number
}

/** Undefined when there is no room for another. */
export function drawWorkload(random: Random, room: DrawRoom): PlannedWorkload | undefined {
  const { name, millicoresMax, nodesMax } = room
  const type = chance(random, 0.4) ? 'service' : pickOne(random, workloadTypes)
  const cpuMillicores = type === 'daemon' ? 10 : pickOne(random, [50, 100, 250, 500])
  // As many may run at once: one on each node, or three runs of a cron that overlap.
  const each = timesOf(type, nodesMax)
  const replicasMax = Math.min(8, Math.floor(millicoresMax / cpuMillicores / each))
  if (replicasMax < 1) return undefined
  const replicas = type === 'daemon' ? 1 : wholeBetween(random, 1, replicasMax)
  const maxUnavailable = wholeBetween(random, 0, Math.min(2, replicas))
  return {
    ...{ name, type, replicas, cpuMillicores, maxUnavailable, version: 1 },
    behaviour: behaviourFor(random, type, behavioursOfServices),
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
    autoscales: type === 'service' && replicas > 1 && chance(random, 0.3),
    onDisconnect: chance(random, 0.5) ? drawDisconnect(random) : undefined,
    completions: replicas + wholeBetween(random, 0, 4),
    retries: wholeBetween(random, 0, 4),
    everyMinutes: pickOne(random, [2, 5, 10]),
    concurrency: pickOne(random, ['Allow', 'Forbid', 'Replace']),
  }
}

/** What it takes of the cluster at most, millicores. */
export function millicoresOf(
  { type, replicas, cpuMillicores }: PlannedWorkload,
  nodesMax: number,
): number {
  return cpuMillicores * replicas * timesOf(type, nodesMax)
}

function timesOf(type: PlannedType, nodesMax: number): number {
  return { service: 1, job: 1, daemon: nodesMax, cron: 3 }[type]
}

function drawDisconnect(random: Random): PlannedDisconnect {
  return {
    replaceAfterMs: pickOne(random, [0, 5_000, 60_000]),
    keep: chance(random, 0.15),
    stopAfterMs: pickOne(random, [0, 0, 30_000]),
    onReturn: pickOne(random, ['original', 'replacement', 'best_placed', 'longest_running']),
  }
}
