/** What is said of rollouts, in events. */
import type { WorkloadRecord } from '@cloudless/api'
import type { EventLog } from '@cloudless/observability'
import type { RolloutWord } from '../controllers/step-rollout.ts'

/** What controllers find, and what people order. */
export type RolloutEventWord = RolloutWord | 'paused' | 'resumed'

/** Undefined: there is nothing to say, as of a new workload, of which nothing is replaced. */
export function rolloutEvent(
  { workload, rollout }: WorkloadRecord,
  word: RolloutEventWord,
): Parameters<EventLog['append']>[0] | undefined {
  const { id, name, namespace } = workload!
  const { revision = 0n, fromRevision = 0n, message = '' } = rollout ?? {}
  if (fromRevision === 0n && word !== 'failed') return undefined
  return {
    type: `rollout.${word}`,
    resourceType: 'workload',
    resourceId: id,
    namespace,
    description: `workload "${name}": ${sentence(word, { revision, fromRevision, message })}`,
    metadata: { revision: String(revision), from_revision: String(fromRevision) },
  }
}

function sentence(
  word: RolloutEventWord,
  facts: { readonly revision: bigint; readonly fromRevision: bigint; readonly message: string },
): string {
  const { revision, fromRevision, message } = facts
  switch (word) {
    case 'started':
      return `replicas are being replaced by those of revision ${revision}`
    case 'paused':
      return `nothing further is replaced by revision ${revision} until it is resumed`
    case 'resumed':
      return `the rollout of revision ${revision} goes on`
    case 'baking':
      return `the canaries of revision ${revision} are ready, and the rest waits`
    case 'promoted':
      return `the rest follows the canaries of revision ${revision}`
    case 'switched':
      return `clients are sent to the replicas of revision ${revision}`
    case 'completed':
      return `every replica is of revision ${revision}, and ready`
    case 'failed':
      return `no further replica of revision ${revision} became ready in time: ${message}`
    case 'rolled_back':
      return `it goes back from revision ${fromRevision} to ${revision}${message && `: ${message}`}`
  }
}
