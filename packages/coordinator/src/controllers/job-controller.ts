/** Carries out the plans of jobs: makes attempts until enough have ended well, or too many have not. */
import { workloadTypeOf, WorkloadType, type WorkloadRecord } from '@cloudless/api'
import type { RecordChange } from '../state/cluster-state.ts'
import { carryOut, type CarryOutDeps } from './carry-out.ts'
import { DeadlineTimes } from './deadline-times.ts'
import { isAttempt } from './job-attempts.ts'
import { planJob } from './plan-job.ts'
import { WorkQueue } from './work-queue.ts'

export class JobController {
  readonly #deps: CarryOutDeps
  readonly #queue: WorkQueue
  readonly #deadlines: DeadlineTimes
  readonly #stopListening: () => void

  constructor(deps: CarryOutDeps) {
    this.#deps = deps
    this.#deadlines = new DeadlineTimes(deps.clock)
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#reconcile(workloadId),
      onError: (workloadId, reason) => deps.report.error(`getting job ${workloadId} on`, reason),
    })
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id, record } of deps.state.all('workload')) {
      if (workloadTypeOf(record.workload!.spec) === WorkloadType.JOB) this.#queue.add(id)
    }
  }

  close(): Promise<void> {
    this.#stopListening()
    return this.#queue.close()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind === 'workload') {
        const { id, after } = change as RecordChange<'workload'>
        if (after === undefined) this.#deadlines.forget(id)
        if (workloadTypeOf(after?.workload?.spec) === WorkloadType.JOB) this.#queue.add(id)
      }
      if (change.kind !== 'replica') continue
      const { before, after } = change as RecordChange<'replica'>
      const replica = (after ?? before)!
      if (isAttempt(replica)) this.#queue.add(replica.status!.workloadId)
    }
  }

  async #reconcile(workloadId: string): Promise<number | undefined> {
    const { state, clock, report } = this.#deps
    let wakeAtMs = 0
    const say = await state.update(() => {
      const workload = state.held('workload', workloadId)
      if (workloadTypeOf(workload?.record.workload?.spec) !== WorkloadType.JOB) return undefined
      const replicas = state.replicasOfWorkload(workloadId).map((held) => held.record)
      const nowMs = clock.wallMs()
      const leftMs = this.#leftMs(workloadId, workload!.record)
      const plan = planJob(workload!.record, replicas, { nowMs, leftMs })
      wakeAtMs = plan.wakeAtMs
      const decision = carryOut(this.#deps, workload!, plan, plan.after)
      const { after, hasEnded } = plan
      if (after === undefined || !hasEnded) return decision
      return { ...decision, result: () => (decision.result(), report.jobEnded(after)) }
    })
    say?.()
    return wakeAtMs > 0 ? Math.max(1, wakeAtMs - clock.wallMs()) : undefined
  }

  #leftMs(workloadId: string, { workload, job }: WorkloadRecord): number {
    const policy = workload!.spec!.job
    if (policy !== undefined && (job?.outcome ?? '') === '') {
      return this.#deadlines.leftMs(workloadId, policy, job)
    }
    this.#deadlines.forget(workloadId)
    return Number.POSITIVE_INFINITY
  }
}
