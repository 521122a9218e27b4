/** Rules for how replicas are replaced by those of another revision. */
import {
  RolloutStrategyKind,
  type CanaryPolicy,
  type RolloutStrategy,
} from '../gen/cloudless/v1/workload_pb.ts'
import type { ProblemList } from './problem.ts'

const dayMs = 86_400_000
const weekMs = 7 * dayMs
const replicasMax = 100_000
/** Revisions that are kept of one workload; each may be as long as a spec. */
const historyLimitMax = 100

/** `replicas`: how many are wanted; a rollout must be able to replace them. */
export function validateRollout(
  rollout: RolloutStrategy,
  replicas: number,
  problems: ProblemList,
): void {
  problems.at('strategy').integer(rollout.strategy, { min: 0, max: 4 })
  for (const name of ['maxSurge', 'maxUnavailable'] as const) {
    problems.at(name).integer(rollout[name], { min: 0, max: replicasMax })
  }
  problems.at('minAvailable').integer(rollout.minAvailable ?? 0, { min: 0, max: replicasMax })
  for (const name of ['pauseDurationMs', 'progressDeadlineMs', 'minReadyMs'] as const) {
    problems.at(name).integer(rollout[name], { min: 0, max: dayMs })
  }
  problems.at('historyLimit').integer(rollout.historyLimit, { min: 0, max: historyLimitMax })
  validateRoom(rollout, replicas, problems)
  if (rollout.canary === undefined) return
  const canary = problems.at('canary')
  if (rollout.strategy !== RolloutStrategyKind.CANARY) {
    canary.add('is for strategy CANARY only: set the strategy, or leave it out')
  }
  validateCanary(rollout.canary, canary)
}

function validateCanary(canary: CanaryPolicy, problems: ProblemList): void {
  problems.at('replicas').integer(canary.replicas, { min: 0, max: replicasMax })
  problems.at('percent').integer(canary.percent, { min: 0, max: 100 })
  problems.at('bakeMs').integer(canary.bakeMs, { min: 0, max: weekMs })
}

/** A rollout that could neither add a replica nor stop one would never end. */
function validateRoom(rollout: RolloutStrategy, replicas: number, problems: ProblemList): void {
  const { maxSurge, maxUnavailable, minAvailable = 0 } = rollout
  // With both 0 the surge is 1; with max_unavailable alone nothing may be above the wanted number.
  const noSurge = maxSurge === 0 && maxUnavailable > 0
  if (!isRolling(rollout) || !noSurge || replicas === 0 || minAvailable < replicas) return
  problems
    .at('minAvailable')
    .add(
      `must be below the ${replicas} replicas when max_surge is 0: ` +
        'an update could neither add a replica nor stop one; raise max_surge to 1 or lower this',
    )
}

function isRolling({ strategy }: RolloutStrategy): boolean {
  return (
    strategy === RolloutStrategyKind.UNSPECIFIED || strategy === RolloutStrategyKind.ROLLING_UPDATE
  )
}
