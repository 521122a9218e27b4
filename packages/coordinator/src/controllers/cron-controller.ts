/** Carries out the plans of crons: makes the jobs that are due, each once, and deletes those that are history. */
import { WorkloadType, workloadTypeOf, type WorkloadRecord } from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  absent,
  deleteRecord,
  putRecord,
  unchanged,
  type Decision,
  type Held,
  type RecordChange,
} from '../state/cluster-state.ts'
import { firstThatFit } from '../state/transaction-limits.ts'
import type { CarryOutDeps, Done } from './carry-out.ts'
import { planCron, type CronPlan } from './plan-cron.ts'
import { WorkQueue } from './work-queue.ts'

/** Timers go by time that passes, schedules by clocks: whether these were set is looked at so often. */
const lookAgainMsMax = 30_000

export class CronController {
  readonly #deps: CarryOutDeps
  readonly #queue: WorkQueue
  readonly #stopListening: () => void

  constructor(deps: CarryOutDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#reconcile(workloadId),
      onError: (workloadId, reason) => deps.report.error(`running cron ${workloadId}`, reason),
    })
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id, record } of deps.state.all('workload')) {
      if (isCron(record)) this.#queue.add(id)
    }
  }

  close(): Promise<void> {
    this.#stopListening()
    return this.#queue.close()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind !== 'workload') continue
      const { id, before, after } = change as RecordChange<'workload'>
      if (isCron(after)) this.#queue.add(id)
      const { ownerId } = (after ?? before)!.workload!
      if (ownerId !== '') this.#queue.add(ownerId)
    }
  }

  async #reconcile(workloadId: string): Promise<number | undefined> {
    const { state, clock } = this.#deps
    let wakeAtMs = 0
    const say = await state.update(() => {
      const held = state.held('workload', workloadId)
      if (held === undefined || !isCron(held.record)) return undefined
      const jobs = state.workloadsOwnedBy(workloadId)
      const plan = planCron(
        held.record,
        jobs.map(({ record }) => record),
        {
          nowMs: clock.wallMs(),
          exists: (id) => state.held('workload', id) !== undefined,
        },
      )
      wakeAtMs = plan.wakeAtMs
      return this.#decide(held, jobs, plan)
    })
    say?.()
    if (wakeAtMs === 0) return undefined
    return Math.min(lookAgainMsMax, Math.max(1, wakeAtMs - clock.wallMs()))
  }

  #decide(
    cron: Held<WorkloadRecord>,
    jobs: readonly Held<WorkloadRecord>[],
    { run, remove, skipped, after, finished }: CronPlan,
  ): Decision<Done> {
    const { clock, report } = this.#deps
    const preconditions: Precondition[] = [unchanged('workload', cron)]
    const writes: Write[] = []
    const reports: Done[] = []
    const gone = new Set(remove)
    // What does not fit is looked at again: the first deletions are changes.
    for (const job of firstThatFit(jobs.filter(({ record }) => gone.has(record)))) {
      preconditions.push(unchanged('workload', job))
      const deletedAtMs = BigInt(clock.wallMs())
      // As much time as the cron's own deletion gives.
      const { deleteGraceMs } = cron.record
      const grace = deleteGraceMs === undefined ? {} : { deleteGraceMs }
      writes.push(putRecord('workload', job.id, { ...job.record, deletedAtMs, ...grace }))
    }
    if (run !== undefined) {
      const { id } = run.workload!
      preconditions.push(absent('workload', id))
      writes.push(putRecord('workload', id, run))
      reports.push(() => report.cronStarted(cron.record, run))
    }
    if (finished) {
      writes.push(deleteRecord('workload', cron.id))
      reports.push(() => report.workloadDeleted(cron.record))
    } else if (after !== undefined) writes.push(putRecord('workload', cron.id, after))
    if (skipped !== undefined) reports.push(() => report.cronSkipped(cron.record, skipped))
    return { preconditions, writes, result: () => reports.forEach((say) => say()) }
  }
}

function isCron(record: WorkloadRecord | undefined): boolean {
  return workloadTypeOf(record?.workload?.spec) === WorkloadType.CRON
}
