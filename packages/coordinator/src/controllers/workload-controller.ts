/** Carries out rollouts and plans: makes, stops and forgets replicas until a service is as its spec says. */
import type { Clock, Random } from '@cloudless/base'
import {
  isService,
  ReplicaState,
  RolloutPhase,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  absent,
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
  type RecordChange,
} from '../state/cluster-state.ts'
import { firstThatFit } from '../state/transaction-limits.ts'
import type { Done } from './carry-out.ts'
import { planFromTally, planWorkload, type WorkloadPlan } from './plan-workload.ts'
import { QuietTimes } from './quiet-times.ts'
import { stopping } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import { findRevision, forgotten } from './revision-records.ts'
import { rolloutFacts, rolloutFactsFromTally } from './rollout-facts.ts'
import { rolloutOf } from './rollout-quota.ts'
import { earlierOf, stepRollout, type RolloutStep } from './step-rollout.ts'
import { WorkQueue } from './work-queue.ts'
import { stepWorkloadProgress, type WorkloadProgress } from './workload-progress.ts'
import { WorkloadTallies } from './workload-tally.ts'
import { workloadTransaction } from './workload-transaction.ts'

export interface WorkloadControllerDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
}

export class WorkloadController {
  readonly #deps: WorkloadControllerDeps
  readonly #queue: WorkQueue
  readonly #stopListening: () => void
  readonly #tallies = new WorkloadTallies()
  readonly #quiet: QuietTimes
  readonly #progress = new Map<string, WorkloadProgress>()

  constructor(deps: WorkloadControllerDeps) {
    this.#deps = deps
    this.#quiet = new QuietTimes(deps.clock)
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#reconcile(workloadId),
      onError: (workloadId, reason) =>
        deps.report.error(`bringing workload ${workloadId} to its spec`, reason),
    })
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id } of deps.state.all('workload')) this.#queue.add(id)
    for (const { record } of deps.state.all('revision')) {
      if (!deps.state.get('workload', record.workloadId)) this.#queue.add(record.workloadId)
    }
    for (const { record } of deps.state.all('replica')) {
      this.#tallies.apply({ after: record })
      this.#queue.add(record.status!.workloadId)
    }
  }

  close(): Promise<void> {
    this.#stopListening()
    return this.#queue.close()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind === 'workload') this.#queue.add(change.id)
      if (change.kind !== 'replica') continue
      const { before, after } = change as RecordChange<'replica'>
      this.#tallies.apply(change as RecordChange<'replica'>)
      this.#queue.add((after ?? before)!.status!.workloadId)
    }
  }

  async #reconcile(workloadId: string): Promise<number | undefined> {
    const { state, clock } = this.#deps
    let wakeAtMs = 0
    const done = await state.update(() => {
      const workload = state.held('workload', workloadId)
      if (!workload) return this.#clearAway(workloadId)
      if (!isService(workload.record.workload!.spec)) return undefined
      const step = this.#step(workload)
      const plan = this.#plan(step.record)
      wakeAtMs = earlierOf(step.wakeAtMs, plan.wakeAtMs)
      return workloadTransaction({ ...this.#deps, nowMs: clock.wallMs() }, workload, step, plan)
    })
    done?.()
    this.#notice(workloadId)
    return wakeAtMs > 0 ? Math.max(1, wakeAtMs - clock.wallMs()) : undefined
  }

  #step({ id, record }: Held<WorkloadRecord>): RolloutStep {
    const { state, clock } = this.#deps
    const rollout = rolloutOf(record)
    const tally = this.#tallies.of(id)
    const isOver = rollout
      ? rollout.phase === RolloutPhase.COMPLETED || record.deletedAtMs > 0n
      : tally.live === tally.of(record.workload!.revision).live
    if (isOver) {
      this.#quiet.forget(id)
      return { record, words: [], wakeAtMs: 0 }
    }
    const nowMs = clock.wallMs()
    const replicas = (): ReplicaRecord[] => this.#replicas(id)
    return stepRollout(record, {
      nowMs,
      facts: rolloutFactsFromTally(record, tally) ?? rolloutFacts(record, replicas(), nowMs),
      quietMs: rollout ? this.#quiet.of(id, rollout) : 0,
      replicas,
      revisionOf: (revision) => findRevision(state, id, revision),
    })
  }

  #plan(record: WorkloadRecord): WorkloadPlan {
    const { id } = record.workload!
    return (
      planFromTally(record, this.#tallies.of(id)) ??
      planWorkload(record, this.#replicas(id), this.#deps.clock.wallMs())
    )
  }

  #replicas(workloadId: string): ReplicaRecord[] {
    return this.#deps.state.replicasOfWorkload(workloadId).map((held) => held.record)
  }

  /** What is left of a workload that is gone. */
  #clearAway(workloadId: string): Decision<Done> {
    const { state } = this.#deps
    this.#quiet.forget(workloadId)
    const revisions = firstThatFit(state.revisionsOfWorkload(workloadId))
    const replicas = orphaned(state.replicasOfWorkload(workloadId))
    if (replicas.writes.length > 0 || revisions.length === 0) return replicas
    return {
      preconditions: [absent('workload', workloadId)],
      writes: forgotten(revisions),
      result: () => undefined,
    }
  }

  /** Says what has become of the workload since it was last looked at. */
  #notice(workloadId: string): void {
    const { state, clock, report } = this.#deps
    const record = state.get('workload', workloadId)
    if (!record || record.deletedAtMs > 0n || !isService(record.workload!.spec)) {
      this.#progress.delete(workloadId)
      return
    }
    const known = this.#progress.get(workloadId)
    const tally = this.#tallies.of(workloadId)
    const { progress, words } = stepWorkloadProgress(known, record, tally)
    this.#progress.set(workloadId, progress)
    for (const word of words) {
      report.workloadProgressed(record, word)
      if (word !== 'ready') continue
      report.workloadReady(record, clock.wallMs() - Number(record.workload!.createdAtMs))
    }
  }
}

/** Replicas whose workload is gone: only a crash between versions could leave them. */
function orphaned(replicas: readonly Held<ReplicaRecord>[]): Decision<Done> {
  const preconditions: Precondition[] = []
  const writes: Write[] = []
  const isUnreachable = ({ record }: Held<ReplicaRecord>): boolean =>
    record.status!.nodeId === '' || record.status!.state === ReplicaState.LOST
  const left = replicas.filter((held) => !held.record.stopping || isUnreachable(held))
  for (const held of firstThatFit(left)) {
    preconditions.push(unchanged('replica', held))
    writes.push(
      isUnreachable(held)
        ? deleteRecord('replica', held.id)
        : putRecord('replica', held.id, stopping(held.record, 'deleted', undefined)),
    )
  }
  return { preconditions, writes, result: () => undefined }
}
