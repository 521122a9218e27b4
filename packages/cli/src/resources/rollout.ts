/** A workload's newest rollout in words. Pure. */
import {
  RolloutPhase,
  RolloutPhaseSchema,
  WorkloadRevisionSchema,
  type RolloutStatus,
  type Workload,
} from '@cloudless/api'
import { age, enumLabel, orDash } from './format.ts'
import type { Resource } from './resource.ts'
import { workloadTitle } from './workload.ts'

const { PROGRESSING, PAUSED, BAKING, FAILED, COMPLETED, ROLLING_BACK } = RolloutPhase
const goingOn: readonly RolloutPhase[] = [PROGRESSING, PAUSED, BAKING, ROLLING_BACK]

/** "PROGRESSING: 2 of 3 replicas ready with revision 4"; empty when there is nothing to say. */
export function rolloutSentence({ status }: Workload): string {
  const { phase = 0, revision, message = '', failedRevision = 0n } = status?.rollout ?? {}
  if (phase === RolloutPhase.UNSPECIFIED || (phase === COMPLETED && failedRevision === 0n))
    return ''
  const label = enumLabel(RolloutPhaseSchema, phase)
  if (phase === COMPLETED) return `went back to revision ${revision}: ${message}`
  return message === '' ? label : `${label}: ${message}`
}

/** Replicas are being replaced, or would be if nobody held that up. */
export function isRollingOut(workload: Workload): boolean {
  const phase = rolloutOf(workload)?.phase
  return phase !== undefined && goingOn.includes(phase)
}

/** What it waits for that time alone, or its replicas, do not bring: a person. Empty: nothing. */
export function rolloutHold(workload: Workload): string {
  const { phase, message = '' } = rolloutOf(workload) ?? {}
  return phase === PAUSED || phase === BAKING ? message : ''
}

/** Why the rollout to a revision has failed; undefined: it has not. */
export function rolloutFailure(workload: Workload, revision: bigint): string | undefined {
  const { status } = workload
  const rollout = status?.rollout
  if (rollout === undefined) return undefined
  const title = workloadTitle(workload)
  if (rollout.failedRevision === revision) {
    const back = rollout.phase === COMPLETED ? 'went back' : 'goes back'
    return `${title} ${back} to revision ${rollout.revision}: ${rollout.message}`
  }
  if (rollout.phase !== FAILED || rollout.revision !== revision) return undefined
  return `${title}: the rollout to revision ${revision} failed: ${rollout.message}`
}

/** The one to the revision the workload has. */
export function rolloutOf({ revision, status }: Workload): RolloutStatus | undefined {
  return status?.rollout?.revision === revision ? status.rollout : undefined
}

export const revisionResource: Resource<typeof WorkloadRevisionSchema> = {
  singular: 'revision',
  plural: 'revisions',
  schema: WorkloadRevisionSchema,
  nameOf: ({ revision }) => String(revision),
  columns: [
    { title: 'REVISION', value: ({ revision }) => String(revision) },
    { title: 'AGE', value: ({ createdAtMs }, nowMs) => age(createdAtMs, nowMs) },
    { title: 'CAUSE', value: ({ cause }) => cause },
    { title: 'OUTCOME', value: ({ outcome }) => orDash(outcome) },
    { title: 'IMAGE', value: ({ spec }) => spec?.image ?? '-' },
    { title: 'CURRENT', value: ({ current }) => (current ? 'yes' : '') },
  ],
}
