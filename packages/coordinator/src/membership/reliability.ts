/** The reliability score, 0 to 1: how far a node can be relied on to keep what it is given. Pure. */
import { NodePhase, type NodeCondition, type ResourceCapacity } from '@cloudless/api'

export interface ReliabilityInput {
  readonly phase: NodePhase
  readonly enrolledForMs: number
  /** Since anything was heard of it; Infinity when nothing was. */
  readonly silentForMs: number
  readonly heartbeatIntervalMs: number
  readonly runningReplicas: number
  readonly failedReplicas: number
  /** 0 to 1. */
  readonly cpuUsedRatio: number
  readonly memoryUsedRatio: number
  readonly capacity: ResourceCapacity | undefined
  readonly conditions: readonly NodeCondition[]
  readonly taintCount: number
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

export function reliabilityScore(input: ReliabilityInput): number {
  const score =
    0.3 * uptime(input) +
    0.2 * response(input) +
    0.2 * success(input) +
    0.15 * headroom(input) +
    0.15 * stability(input) -
    0.1 * input.taintCount
  const young = input.enrolledForMs < 10 * minuteMs ? 0.8 : 1
  return clamp(score * young)
}

function uptime({ enrolledForMs, silentForMs }: ReliabilityInput): number {
  if (enrolledForMs < hourMs) return 0.5
  const bonus = (enrolledForMs > dayMs ? 0.1 : 0) + (enrolledForMs > 7 * dayMs ? 0.1 : 0)
  const base = firstBand(silentForMs, [
    [15_000, 1],
    [30_000, 0.9],
    [minuteMs, 0.7],
    [5 * minuteMs, 0.5],
    [Infinity, 0.1],
  ])
  return clamp(base + bonus)
}

function response({ silentForMs, heartbeatIntervalMs }: ReliabilityInput): number {
  return firstBand(silentForMs / heartbeatIntervalMs, [
    [1.2, 1],
    [2, 0.8],
    [3, 0.6],
    [Infinity, 0.3],
  ])
}

function success({ runningReplicas, failedReplicas }: ReliabilityInput): number {
  const total = runningReplicas + failedReplicas
  return total === 0 ? 1 : runningReplicas / total
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

function stability({ phase, conditions }: ReliabilityInput): number {
  if (phase === NodePhase.OFFLINE || phase === NodePhase.FAILED) return 0
  const isTrue = (type: string): boolean =>
    conditions.some((c) => c.type === type && c.status === 'True')
  const settling = phase === NodePhase.ENROLLING ? 0.2 : 0
  const leaving = phase === NodePhase.DRAINING || phase === NodePhase.CORDONED ? 0.5 : 0
  return clamp(
    1 -
      (isTrue('MemoryPressure') ? 0.3 : 0) -
      (isTrue('DiskPressure') ? 0.3 : 0) -
      (isTrue('NetworkUnavailable') ? 0.5 : 0) -
      (isTrue('CPUPressure') ? 0.2 : 0) -
      settling -
      leaving,
  )
}

/** The value of the first band whose upper bound is above `at`. */
function firstBand(at: number, bands: readonly (readonly [number, number])[]): number {
  return bands.find(([below]) => at < below)?.[1] ?? bands.at(-1)![1]
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}
