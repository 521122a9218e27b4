/** How many replicas there should be of a workload's revision, and how many of those before it are kept. Pure. */
import {
  RolloutPhase,
  RolloutStrategyKind,
  type RolloutStatus,
  type WorkloadRecord,
} from '@cloudless/api'

export interface Quota {
  /** Of the workload's revision. */
  readonly fresh: number
  /** Of earlier ones. */
  readonly old: number
}

const canaryPercentDefault = 10

/** The rollout to the revision the workload has. Undefined: nothing is known of one. */
export function rolloutOf({ rollout, workload }: WorkloadRecord): RolloutStatus | undefined {
  return rollout?.revision === workload!.revision ? rollout : undefined
}

/** How replicas of one revision give way to those of another. */
export function strategyOf(workload: WorkloadRecord): RolloutStrategyKind {
  const begun = rolloutOf(workload)?.strategy || workload.workload!.spec!.rollout?.strategy
  return begun || RolloutStrategyKind.ROLLING_UPDATE
}

/** New replicas are made and take no clients yet. */
export function awaitsSwitch(workload: WorkloadRecord): boolean {
  if (strategyOf(workload) !== RolloutStrategyKind.BLUE_GREEN) return false
  const rollout = rolloutOf(workload)
  return rollout === undefined || (rollout.fromRevision !== 0n && !rollout.switched)
}

/** A part of the replicas is of the new revision, and the rest is not to follow yet. */
export function awaitsPromotion(workload: WorkloadRecord): boolean {
  const rollout = rolloutOf(workload)
  if (rollout === undefined || rollout.fromRevision === 0n || rollout.promoted) return false
  return rollout.strategy === RolloutStrategyKind.CANARY && rollout.phase !== RolloutPhase.COMPLETED
}

export function quotaOf(workload: WorkloadRecord): Quota {
  const wanted = workload.workload!.spec!.replicas
  const fresh = freshOf(workload, wanted)
  return { fresh, old: awaitsSwitch(workload) ? wanted : wanted - fresh }
}

/** The canaries among so many. */
export function canariesOf(workload: WorkloadRecord): number {
  const { replicas: wanted, rollout } = workload.workload!.spec!
  const { replicas = 0, percent = 0 } = rollout?.canary ?? {}
  const share = Math.ceil((wanted * (percent || canaryPercentDefault)) / 100)
  return Math.min(wanted, replicas || Math.max(1, share))
}

function freshOf(workload: WorkloadRecord, wanted: number): number {
  const rollout = rolloutOf(workload)
  if (rollout === undefined || rollout.fromRevision === 0n) return wanted
  const { phase, heldUpdated, heldReplicas } = rollout
  if (phase === RolloutPhase.PAUSED || phase === RolloutPhase.FAILED) {
    if (wanted === heldReplicas) return Math.min(wanted, heldUpdated)
    // Scaling keeps the share.
    return heldReplicas === 0
      ? wanted
      : Math.min(wanted, Math.ceil((wanted * heldUpdated) / heldReplicas))
  }
  return awaitsPromotion(workload) ? canariesOf(workload) : wanted
}
