/** Carries out plans for workloads of every kind: as much as one transaction takes, with what must hold, and what to say. */
import type { Clock, Random } from '@cloudless/base'
import type { ReplicaRecord, WorkloadRecord } from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  absent,
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
} from '../state/cluster-state.ts'
import { recordsPerTransactionMax, TransactionRoom } from '../state/transaction-limits.ts'
import { newReplica, newReplicaId, stopping } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import type { WorkloadPlan } from './workload-plan.ts'

export interface CarryOutDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
}

/** To be called once it is committed: says what was done. */
export type Done = () => void

/** A transaction in the making. */
export interface Draft {
  readonly preconditions: Precondition[]
  readonly writes: Write[]
  readonly reports: Done[]
}

/**
 * What of the plan fits into one transaction; what it changes makes the controller look again for the rest. `after` is what
 * the workload's own record becomes with it, if that changes. For workloads whose replicas are all of what is asked for now.
 */
export function carryOut(
  deps: CarryOutDeps,
  workload: Held<WorkloadRecord>,
  plan: WorkloadPlan,
  after?: WorkloadRecord,
): Decision<Done> {
  const { state, clock, report } = deps
  const part = firstPart(plan, {
    recordsMax: recordsPerTransactionMax,
    madeBytes: workload.bytes,
    bytesOf: ({ status }) => state.held('replica', status!.id)!.bytes,
  })
  const { record } = workload
  const draft: Draft = { preconditions: [unchanged('workload', workload)], writes: [], reports: [] }
  const { preconditions, writes, reports } = draft
  addReplicas({ ...deps, nowMs: clock.wallMs(), ownerOf: () => record }, record, part, draft)
  if (part.finished) {
    writes.push(deleteRecord('workload', workload.id))
    reports.push(() => report.workloadDeleted(record))
  } else if (after !== undefined) writes.push(putRecord('workload', workload.id, after))
  return { preconditions, writes, result: () => reports.forEach((say) => say()) }
}

/** `ownerOf`: the workload as it is to be for replicas of a revision. */
export function addReplicas(
  {
    state,
    random,
    report,
    nowMs,
    ownerOf,
  }: Omit<CarryOutDeps, 'clock'> & {
    readonly nowMs: number
    readonly ownerOf: (revision: bigint) => WorkloadRecord
  },
  record: WorkloadRecord,
  { create, stop, forget }: WorkloadPlan,
  { preconditions, writes, reports }: Draft,
): void {
  for (const { revision, ...making } of create) {
    const id = newReplicaId(record.workload!.name, random)
    const replica = newReplica(ownerOf(revision), { id, ...making, nowMs })
    preconditions.push(absent('replica', id))
    writes.push(putRecord('replica', id, replica))
    reports.push(() => report.replicaCreated(replica))
  }
  for (const { replica, reason } of stop) {
    const { id } = replica.status!
    preconditions.push(unchanged('replica', state.held('replica', id)!))
    writes.push(putRecord('replica', id, stopping(replica, reason, record.deleteGraceMs)))
    if (!replica.stopping) reports.push(() => report.replicaStopping(replica, reason))
  }
  for (const replica of forget) {
    const { id } = replica.status!
    preconditions.push(unchanged('replica', state.held('replica', id)!))
    writes.push(deleteRecord('replica', id))
  }
}

/**
 * As much of a plan as one transaction takes; what it changes makes the controller look again for the rest. What frees
 * room comes first.
 */
export function firstPart(
  plan: WorkloadPlan,
  sizes: {
    readonly recordsMax: number
    readonly madeBytes: number
    readonly bytesOf: (replica: ReplicaRecord) => number
  },
): WorkloadPlan {
  const room = new TransactionRoom(sizes.recordsMax)
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
