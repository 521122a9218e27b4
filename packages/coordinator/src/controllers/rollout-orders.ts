/** What a person orders of a rollout: to pause, go on, promote, or go back. Each says why it cannot be. Pure. */
import { RolloutPhase, type RolloutStatus, type WorkloadRecord } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { enumName } from '../state/enum-names.ts'
import { isGoingBack, isUnfinished } from './begin-rollout.ts'
import type { RolloutFacts } from './rollout-facts.ts'
import { awaitsPromotion, canariesOf, rolloutOf } from './rollout-quota.ts'

/** Nothing further is replaced; as many of each revision as there are now are kept. */
export function pauseRollout(
  record: WorkloadRecord,
  { updated, awaited }: RolloutFacts,
): WorkloadRecord {
  const rollout = requireRollout(record, 'pause')
  if (rollout.phase === RolloutPhase.PAUSED) return record
  if (rollout.phase === RolloutPhase.FAILED) {
    throw refused(record, 'pause', 'has failed, and nothing is replaced: resume or undo it')
  }
  const { replicas } = record.workload!.spec!
  return changed(record, rollout, {
    phase: RolloutPhase.PAUSED,
    heldUpdated: Math.min(replicas, updated + awaited),
    heldReplicas: replicas,
  })
}

/** One that failed is tried again. */
export function resumeRollout(record: WorkloadRecord, nowMs: number): WorkloadRecord {
  const rollout = requireRollout(record, 'resume')
  const { phase } = rollout
  if (phase !== RolloutPhase.PAUSED && phase !== RolloutPhase.FAILED) {
    throw refused(record, 'resume', `is not paused: it is ${phaseWord(phase)}`)
  }
  return changed(record, rollout, {
    phase: isGoingBack(rollout) ? RolloutPhase.ROLLING_BACK : RolloutPhase.PROGRESSING,
    lastProgressAtMs: BigInt(nowMs),
    finishedAtMs: 0n,
    canaryReadyAtMs: 0n,
    heldUpdated: 0,
    heldReplicas: 0,
    message: rollout.failedRevision > 0n ? rollout.message : '',
  })
}

export function promoteRollout(
  record: WorkloadRecord,
  { available }: RolloutFacts,
  nowMs: number,
): WorkloadRecord {
  const rollout = requireRollout(record, 'promote')
  if (!awaitsPromotion(record)) {
    const why = 'has no canaries that wait to be promoted: it goes on by itself'
    throw refused(record, 'promote', why)
  }
  if (rollout.phase === RolloutPhase.PAUSED || rollout.phase === RolloutPhase.FAILED) {
    throw refused(record, 'promote', `is ${phaseWord(rollout.phase)}: resume it first`)
  }
  const canaries = canariesOf(record)
  if (available < canaries) {
    const why = `has ${available} of ${canaries} canaries ready: wait for them, or undo it`
    throw refused(record, 'promote', why)
  }
  return changed(record, rollout, {
    phase: RolloutPhase.PROGRESSING,
    promoted: true,
    lastProgressAtMs: BigInt(nowMs),
  })
}

/** One that replaces something, or did and failed. */
function requireRollout(record: WorkloadRecord, what: string): RolloutStatus {
  const rollout = rolloutOf(record)
  if (!isUnfinished(rollout)) {
    throw refused(record, what, 'is over: there is nothing to do until the workload is changed')
  }
  if (rollout.fromRevision === 0n) {
    throw refused(record, what, 'is its first, and replaces nothing: scale or delete the workload')
  }
  return rollout
}

function changed(
  record: WorkloadRecord,
  rollout: RolloutStatus,
  change: Partial<Omit<RolloutStatus, '$typeName' | '$unknown'>>,
): WorkloadRecord {
  return { ...record, rollout: { ...rollout, ...change } }
}

function refused({ workload }: WorkloadRecord, what: string, why: string): CloudlessError {
  const { name, revision } = workload!
  return new CloudlessError(
    'failed_precondition',
    `cannot ${what}: the rollout of workload "${name}" to revision ${revision} ${why}`,
  )
}

function phaseWord(phase: RolloutPhase): string {
  return enumName(RolloutPhase, phase).toLowerCase().replaceAll('_', ' ')
}
