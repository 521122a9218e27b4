/**
 * The reliability score, 0 to 1: how far a node can be relied on to keep what it is given, from how it is now and from what
 * is remembered of it. The parts and their weights are SPEC's; each can be shown. Pure.
 */
import { create } from '@bufbuild/protobuf'
import {
  NodePhase,
  ReliabilitySchema,
  type NodeCondition,
  type NodeHistory,
  type Reliability,
  type ResourceCapacity,
} from '@cloudless/api'
import { availabilityOf, lossesPerWeekOf } from './node-history.ts'

export interface ReliabilityInput {
  readonly phase: NodePhase
  readonly enrolledForMs: number
  /** Since anything was heard of it; Infinity when nothing was. */
  readonly silentForMs: number
  /** Between its heartbeats: as asked for, and as they usually come. */
  readonly heartbeatIntervalMs: number
  readonly usualGapMs: number
  /** Until now. */
  readonly history: NodeHistory
  readonly runningReplicas: number
  readonly failedReplicas: number
  /** 0 to 1. */
  readonly cpuUsedRatio: number
  readonly memoryUsedRatio: number
  readonly capacity: ResourceCapacity | undefined
  readonly conditions: readonly NodeCondition[]
  readonly taintCount: number
  readonly hasPublicAddress: boolean
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const daysPerWeek = 7

/** What each loss a week takes off a node's stability, and all of them at most. */
const instabilityOfLoss = 0.1
const instabilityMax = 0.7

export function reliabilityScore(input: ReliabilityInput): number {
  const { uptime, response, success, capacity, stability, penalty, youthFactor } = partsOf(input)
  const sum = 0.3 * uptime + 0.2 * response + 0.2 * success + 0.15 * capacity + 0.15 * stability
  // Not one more than it is for being added up in another order.
  return Math.round(clamp((sum - penalty) * youthFactor) * 1e9) / 1e9
}

/** What the score is made of. */
export function reliabilityParts(input: ReliabilityInput): Reliability {
  return create(ReliabilitySchema, {
    ...partsOf(input),
    band: bandOf(reliabilityScore(input)),
    availability: availabilityOf(input.history),
    lossesPerWeek: lossesPerWeekOf(input.history),
    lastLostAtMs: input.history.lastLostAtMs,
  })
}

function partsOf(input: ReliabilityInput) {
  return {
    uptime: uptime(input),
    response: response(input),
    success: success(input),
    capacity: headroom(input),
    stability: stability(input),
    penalty: 0.1 * input.taintCount + (input.hasPublicAddress ? 0 : 0.1),
    youthFactor: input.enrolledForMs < 10 * minuteMs ? 0.8 : 1,
  }
}

function bandOf(score: number): string {
  const bands = [
    [0.9, 'excellent'],
    [0.75, 'good'],
    [0.6, 'fair'],
    [0.4, 'poor'],
  ] as const
  return bands.find(([least]) => score >= least)?.[1] ?? 'bad'
}

/** How long it has been a member and when it was last heard; of that as much as it is likely to be there for a day. */
function uptime({ enrolledForMs, silentForMs, history }: ReliabilityInput): number {
  const staying = availabilityOf(history) / (1 + lossesPerWeekOf(history) / daysPerWeek)
  if (enrolledForMs < hourMs) return 0.5 * staying
  const bonus = (enrolledForMs > dayMs ? 0.1 : 0) + (enrolledForMs > 7 * dayMs ? 0.1 : 0)
  const base = firstBand(silentForMs, [
    [15_000, 1],
    [30_000, 0.9],
    [minuteMs, 0.7],
    [5 * minuteMs, 0.5],
    [Infinity, 0.1],
  ])
  return clamp(base + bonus) * staying
}

function response(input: ReliabilityInput): number {
  const gapMs = Math.max(input.silentForMs, input.usualGapMs)
  return firstBand(gapMs / input.heartbeatIntervalMs, [
    [1.2, 1],
    [2, 0.8],
    [3, 0.6],
    [Infinity, 0.3],
  ])
}

function success({ runningReplicas, failedReplicas, history }: ReliabilityInput): number {
  const ok = runningReplicas + history.replicasOk
  const total = ok + failedReplicas + history.replicasFailed
  return total === 0 ? 1 : ok / total
}

function headroom({ cpuUsedRatio, memoryUsedRatio, capacity }: ReliabilityInput): number {
  if (!capacity || capacity.cpuMillicores === 0) return 0
  return (loadBand(cpuUsedRatio) + loadBand(memoryUsedRatio)) / 2
}

function loadBand(usedRatio: number): number {
  return firstBand(usedRatio, [
    [0.3, 0.7],
    [0.5, 0.9],
    [0.7, 1],
    [0.85, 0.8],
    [0.95, 0.5],
    [Infinity, 0.2],
  ])
}

function stability({ phase, conditions, history }: ReliabilityInput): number {
  if (phase === NodePhase.OFFLINE || phase === NodePhase.FAILED) return 0
  const isTrue = (type: string): boolean =>
    conditions.some((c) => c.type === type && c.status === 'True')
  const settling = phase === NodePhase.ENROLLING ? 0.2 : 0
  const leaving = phase === NodePhase.DRAINING || phase === NodePhase.CORDONED ? 0.5 : 0
  const flapping = Math.min(instabilityMax, instabilityOfLoss * lossesPerWeekOf(history))
  return clamp(
    1 -
      (isTrue('MemoryPressure') ? 0.3 : 0) -
      (isTrue('DiskPressure') ? 0.3 : 0) -
      (isTrue('NetworkUnavailable') ? 0.5 : 0) -
      (isTrue('CPUPressure') ? 0.2 : 0) -
      settling -
      leaving -
      flapping,
  )
}

/** The value of the first band whose upper bound is above `at`. */
function firstBand(at: number, bands: readonly (readonly [number, number])[]): number {
  return bands.find(([below]) => at < below)?.[1] ?? bands.at(-1)![1]
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}
