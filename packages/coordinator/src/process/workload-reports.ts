/** What is said of a person's change of a workload, in events. */
import { isService, RolloutPhase, type WorkloadRecord } from '@cloudless/api'
import { counted } from '@cloudless/base'
import type { EventLog } from '@cloudless/observability'
import { kindOf } from '../api/kind-changes.ts'
import type { RolloutAction } from '../api/rollout-handlers.ts'
import type { WorkloadAction } from '../api/workload-handlers.ts'
import { rolloutEvent, type RolloutEventWord } from './rollout-reports.ts'

type Event = Parameters<EventLog['append']>[0]
type OwnAction = Exclude<WorkloadAction, RolloutAction>

export function workloadEvents(workload: WorkloadRecord, action: WorkloadAction): Event[] {
  const word = rolloutWord(workload, action)
  const rollout = word && rolloutEvent(workload, word)
  const own = isOwn(action) ? [workloadEvent(workload, action)] : []
  return rollout ? [...own, rollout] : own
}

const eventByAction = {
  create: 'workload.created',
  update: 'workload.updated',
  scale: 'workload.scaled',
  restart: 'workload.restarted',
  suspend: 'cron.suspended',
  unsuspend: 'cron.resumed',
  delete: 'workload.deleted',
} as const satisfies Record<OwnAction, string>

function isOwn(action: WorkloadAction): action is OwnAction {
  return action in eventByAction
}

function workloadEvent(workload: WorkloadRecord, action: OwnAction): Event {
  const { id, name, namespace, revision } = workload.workload!
  return {
    type: eventByAction[action],
    resourceType: 'workload',
    resourceId: id,
    namespace,
    description: describeChange(name, action, workload),
    metadata: { revision: String(revision) },
  }
}

function describeChange(name: string, action: OwnAction, { workload }: WorkloadRecord): string {
  const { replicas, image } = workload!.spec!
  switch (action) {
    case 'create':
      return isService(workload!.spec)
        ? `workload "${name}" was created: ${counted(replicas, 'replica')} of ${image}`
        : `workload "${name}" was created: a ${kindOf(workload!).toLowerCase()} of ${image}`
    case 'update':
      return `workload "${name}" was updated to revision ${workload!.revision}`
    case 'scale':
      return `workload "${name}" was scaled to ${replicas} replicas`
    case 'restart':
      return `every replica of workload "${name}" is being replaced`
    case 'suspend':
      return `cron "${name}" is suspended: no further runs begin`
    case 'unsuspend':
      return `cron "${name}" is resumed`
    case 'delete':
      return `workload "${name}" is being deleted`
  }
}

/** What it means for the workload's rollout; undefined: nothing. */
function rolloutWord(
  { workload, rollout }: WorkloadRecord,
  action: WorkloadAction,
): RolloutEventWord | undefined {
  switch (action) {
    case 'update':
    case 'restart':
      // It began with this very change.
      return rollout?.startedAtMs === workload!.updatedAtMs ? 'started' : undefined
    case 'pause':
      return 'paused'
    case 'resume':
      return 'resumed'
    case 'promote':
      return 'promoted'
    case 'undo':
      return rollout?.phase === RolloutPhase.ROLLING_BACK ? 'rolled_back' : 'started'
    default:
      return undefined
  }
}
