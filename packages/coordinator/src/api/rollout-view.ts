/** What is served of a rollout: as it is stored, with a sentence on how far it is. Pure. */
import {
  RolloutPhase,
  type ReplicaRecord,
  type ReplicaStatus,
  type RolloutStatus,
  type WorkloadRecord,
} from '@cloudless/api'
import { counted } from '@cloudless/base'
import { canariesOf, rolloutOf } from '../controllers/rollout-quota.ts'
import { isServing } from '../controllers/serving.ts'

/** Undefined before the first. */
export function viewRollout(
  record: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
): RolloutStatus | undefined {
  const rollout = rolloutOf(record)
  if (rollout === undefined || rollout.message !== '') return rollout
  return { ...rollout, message: sentence(record, rollout, replicas) }
}

/** A replica's status, with whether clients may be sent to it. */
export function viewReplica(
  replica: ReplicaRecord,
  workload: WorkloadRecord | undefined,
): ReplicaStatus {
  const serving = isServing(replica, workload && rolloutOf(workload))
  return serving ? { ...replica.status!, serving } : replica.status!
}

function sentence(
  record: WorkloadRecord,
  rollout: RolloutStatus,
  replicas: readonly ReplicaRecord[],
): string {
  const { revision, spec } = record.workload!
  const ready = replicas.filter(
    ({ status, stopping }) => status!.revision === revision && status!.ready && !stopping,
  ).length
  const progress = `${ready} of ${counted(spec!.replicas, 'replica')} ready with revision ${revision}`
  switch (rollout.phase) {
    case RolloutPhase.PROGRESSING:
    case RolloutPhase.ROLLING_BACK:
      return progress
    case RolloutPhase.PAUSED:
      return `${progress}; paused: resume it to go on`
    case RolloutPhase.BAKING: {
      const count = canariesOf(record)
      const canaries = count === 1 ? '1 canary is' : `${count} canaries are`
      const bakes = (spec!.rollout?.canary?.bakeMs ?? 0n) > 0n
      const next = bakes ? 'the rest follows when they have baked' : 'promote it to go on'
      return `${canaries} ready with revision ${revision}; ${next}`
    }
    default:
      return ''
  }
}
