/** CoordinatorService's calls about crons: stopping and resuming their runs, and starting one by hand. */
import { create } from '@bufbuild/protobuf'
import {
  CronPolicySchema,
  type RunWorkloadRequest,
  type SuspendWorkloadRequest,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import { CloudlessError, randomId, type Clock, type Random } from '@cloudless/base'
import { jobOfCron, nameOfManualRun } from '../controllers/cron-jobs.ts'
import {
  absent,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
} from '../state/cluster-state.ts'
import { rememberNothing, type Remember } from '../state/remember.ts'
import { noWorkload, requireWorkload } from './find.ts'
import { requireCron } from './kind-changes.ts'
import { beingDeleted } from './workload-changes.ts'
import type { WorkloadHandlersDeps } from './workload-handlers.ts'
import { viewHeldWorkload, viewWorkload } from './workload-view.ts'

export interface CronHandlersDeps extends Pick<WorkloadHandlersDeps, 'onChanged'> {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly onRun: (cron: WorkloadRecord, job: WorkloadRecord) => void
}

const suffixLength = 6

export function cronHandlers(deps: CronHandlersDeps) {
  const { state, clock, random, onChanged, onRun } = deps

  /** The cron as it is now. `what` ends "only a CRON can be ...". */
  function heldCron(id: string, name: string, what: string): Held<WorkloadRecord> {
    const held = state.held('workload', id)
    if (held === undefined) throw noWorkload('', name)
    requireCron(held.record.workload!, what)
    if (held.record.deletedAtMs > 0n) throw beingDeleted(held.record.workload!)
    return held
  }

  function view(id: string): Workload {
    const held = state.held('workload', id)
    if (!held) throw new CloudlessError('not_found', `workload "${id}" was deleted meanwhile`)
    return viewHeldWorkload(state, held, true)
  }

  return {
    async suspendWorkload(request: SuspendWorkloadRequest): Promise<Workload> {
      const { workloadId, namespace, suspend } = request
      const { id } = requireWorkload(state, workloadId, namespace)
      const changed = await state.update((): Decision<WorkloadRecord> | undefined => {
        const held = heldCron(id, workloadId, suspend ? 'suspended' : 'resumed')
        const { workload } = held.record
        if ((workload!.spec!.cron?.suspend ?? false) === suspend) return undefined
        const cron = { ...(workload!.spec!.cron ?? create(CronPolicySchema)), suspend }
        const spec = { ...workload!.spec!, cron }
        const updatedAtMs = BigInt(clock.wallMs())
        const record = { ...held.record, workload: { ...workload!, spec, updatedAtMs } }
        return {
          preconditions: [unchanged('workload', held)],
          writes: [putRecord('workload', id, record)],
          result: record,
        }
      })
      if (changed !== undefined) onChanged(changed, suspend ? 'suspend' : 'unsuspend')
      return view(id)
    },

    async runWorkload(
      request: RunWorkloadRequest,
      remember: Remember<Workload> = rememberNothing,
    ): Promise<Workload> {
      const { workloadId, namespace } = request
      const { id } = requireWorkload(state, workloadId, namespace)
      const run = await state.update(() => {
        const cron = heldCron(id, workloadId, 'run')
        const name = nameOfManualRun(cron.record.workload!.name, randomId(random, suffixLength))
        const job = jobOfCron(cron.record, { name, nowMs: clock.wallMs() })
        const answer = viewWorkload(job, [], { withReplicas: true, modRevision: 0 })
        const jobId = job.workload!.id
        return {
          preconditions: [
            unchanged('workload', cron),
            absent('workload', jobId),
            ...remember.preconditions,
          ],
          writes: [putRecord('workload', jobId, job), ...remember.writes(answer)],
          result: { cron: cron.record, job },
        }
      })
      onRun(run!.cron, run!.job)
      return view(run!.job.workload!.id)
    },
  }
}
