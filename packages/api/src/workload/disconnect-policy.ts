/** Rules for what becomes of a workload's replicas when their node is not heard of, and for moving them to balance nodes. */
import type {
  DisconnectPolicy,
  RebalancePolicy,
  WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import type { ProblemList } from './problem.ts'

/** Which of the two is kept when a replica that was replaced comes back running. */
export const onReturnChoices = [
  'original',
  'replacement',
  'best_placed',
  'longest_running',
] as const

export type OnReturn = (typeof onReturnChoices)[number]

export const onReturnDefault: OnReturn = 'original'
export const rebalanceMovingDefault = 1
export const rebalanceIntervalMsDefault = 30_000

/** A link that hiccups must stop nothing. */
const stopAfterMsMin = 1_000
const awayMsMax = 30 * 86_400_000
const dayMs = 86_400_000
const movingMax = 1_000

export function validateDisconnectPolicy(policy: DisconnectPolicy, problems: ProblemList): void {
  const { replaceAfterMs, keep, stopAfterMs, onReturn } = policy
  if (replaceAfterMs !== undefined) {
    problems.at('replaceAfterMs').integer(replaceAfterMs, { min: 0, max: awayMsMax })
    if (keep) problems.at('replaceAfterMs').add('must not be given together with keep')
  }
  if (stopAfterMs !== 0n) {
    problems.at('stopAfterMs').integer(stopAfterMs, { min: stopAfterMsMin, max: awayMsMax })
  }
  problems.at('onReturn').oneOf(onReturn, ['', ...onReturnChoices])
}

export function validateRebalancePolicy(policy: RebalancePolicy, problems: ProblemList): void {
  problems.at('maxMoving').integer(policy.maxMoving, { min: 0, max: movingMax })
  problems.at('intervalMs').integer(policy.intervalMs, { min: 0, max: dayMs })
}

/** Fills in what the two leave open, in place; one that is not there stays so. */
export function fillPolicies({ onDisconnect, rebalance }: WorkloadSpec): void {
  if (onDisconnect !== undefined) onDisconnect.onReturn ||= onReturnDefault
  if (rebalance === undefined) return
  rebalance.maxMoving ||= rebalanceMovingDefault
  rebalance.intervalMs ||= BigInt(rebalanceIntervalMsDefault)
}

/** Of a spec that was accepted. */
export function onReturnOf(spec: WorkloadSpec | undefined): OnReturn {
  const chosen = spec?.onDisconnect?.onReturn ?? ''
  return onReturnChoices.find((choice) => choice === chosen) ?? onReturnDefault
}

/** When a replica that was lost then is to be replaced, unix milliseconds; 0: at once, -1: not as long as its node is away. */
export function replaceAtMs(spec: WorkloadSpec | undefined, lostAtMs: number): bigint {
  const policy = spec?.onDisconnect
  if (policy?.keep === true) return -1n
  const afterMs = policy?.replaceAfterMs ?? 0n
  return afterMs === 0n ? 0n : BigInt(lostAtMs) + afterMs
}
