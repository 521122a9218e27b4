/** Carries out workload plans: makes, stops and forgets replicas until a workload is as its spec says. */
import type { Clock, Random } from '@cloudless/base'
import { ReplicaState, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
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
import { firstThatFit, TransactionRoom } from '../state/transaction-limits.ts'
import { planFromTally, planWorkload, type WorkloadPlan } from './plan-workload.ts'
import { newReplica, newReplicaId, stopping } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import { WorkQueue } from './work-queue.ts'
import { stepWorkloadProgress, type WorkloadProgress } from './workload-progress.ts'
import { WorkloadTallies } from './workload-tally.ts'

export interface WorkloadControllerDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
}

type Done = () => void

export class WorkloadController {
  readonly #deps: WorkloadControllerDeps
  readonly #queue: WorkQueue
  readonly #stopListening: () => void
  readonly #tallies = new WorkloadTallies()
  readonly #progress = new Map<string, WorkloadProgress>()

  constructor(deps: WorkloadControllerDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#reconcile(workloadId),
      onError: (workloadId, reason) =>
        deps.report.error(`bringing workload ${workloadId} to its spec`, reason),
    })
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id } of deps.state.all('workload')) this.#queue.add(id)
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
      if (!workload) return orphaned(state.replicasOfWorkload(workloadId))
      const plan = this.#plan(workload)
      wakeAtMs = plan.wakeAtMs
      return this.#decide(workload, plan)
    })
    done?.()
    this.#notice(workloadId)
    return wakeAtMs > 0 ? Math.max(1, wakeAtMs - clock.wallMs()) : undefined
  }

  #plan({ id, record }: Held<WorkloadRecord>): WorkloadPlan {
    const { state, clock } = this.#deps
    const replicas = (): ReplicaRecord[] => state.replicasOfWorkload(id).map((held) => held.record)
    return (
      planFromTally(record, this.#tallies.of(id)) ??
      planWorkload(record, replicas(), clock.wallMs())
    )
  }

  /** Says what has become of the workload since it was last looked at. */
  #notice(workloadId: string): void {
    const { state, clock, report } = this.#deps
    const record = state.get('workload', workloadId)
    if (!record || record.deletedAtMs > 0n) {
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

  #decide(workload: Held<WorkloadRecord>, plan: WorkloadPlan): Decision<Done> {
    const { state, clock, random, report } = this.#deps
    const { create, stop, forget, finished } = firstPart(plan, {
      madeBytes: workload.bytes,
      bytesOf: ({ status }) => state.held('replica', status!.id)!.bytes,
    })
    const preconditions: Precondition[] = [unchanged('workload', workload)]
    const writes: Write[] = []
    const reports: Done[] = []
    for (const { replaces } of create) {
      const id = newReplicaId(workload.record.workload!.name, random)
      const replica = newReplica(workload.record, { id, replaces, nowMs: clock.wallMs() })
      preconditions.push(absent('replica', id))
      writes.push(putRecord('replica', id, replica))
      reports.push(() => report.replicaCreated(replica))
    }
    for (const { replica, reason } of stop) {
      const { id } = replica.status!
      const graceMs = workload.record.deleteGraceMs
      preconditions.push(unchanged('replica', state.held('replica', id)!))
      writes.push(putRecord('replica', id, stopping(replica, reason, graceMs)))
      if (!replica.stopping) reports.push(() => report.replicaStopping(replica, reason))
    }
    for (const replica of forget) {
      const { id } = replica.status!
      preconditions.push(unchanged('replica', state.held('replica', id)!))
      writes.push(deleteRecord('replica', id))
    }
    if (finished) {
      writes.push(deleteRecord('workload', workload.id))
      reports.push(() => report.workloadDeleted(workload.record))
    }
    return { preconditions, writes, result: () => reports.forEach((report) => report()) }
  }
}

/**
 * As much of a plan as one transaction takes; what it changes makes the controller look again for the rest. What frees
 * room comes first.
 */
function firstPart(
  plan: WorkloadPlan,
  sizes: { readonly madeBytes: number; readonly bytesOf: (replica: ReplicaRecord) => number },
): WorkloadPlan {
  const room = new TransactionRoom()
  const some = <T>(items: readonly T[], bytesOf: (item: T) => number): readonly T[] => {
    const end = items.findIndex((item) => !room.takes(bytesOf(item)))
    return end === -1 ? items : items.slice(0, end)
  }
  const forget = some(plan.forget, () => 0)
  const stop = some(plan.stop, ({ replica }) => sizes.bytesOf(replica))
  const create = some(plan.create, () => sizes.madeBytes)
  return {
    ...plan,
    forget,
    stop,
    create,
    finished: plan.finished && forget.length === plan.forget.length,
  }
}

/** Replicas whose workload is gone: only a crash between versions could leave them. */
function orphaned(replicas: readonly Held<ReplicaRecord>[]): Decision<Done> | undefined {
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
