/** One transaction of a workload's controller: its rollout's step and as much of its plan as fits, with what must hold. */
import { RolloutStrategyKind, type WorkloadRecord } from '@cloudless/api'
import type { Random } from '@cloudless/base'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
} from '../state/cluster-state.ts'
import { recordsPerTransactionMax } from '../state/transaction-limits.ts'
import { addReplicas, firstPart, type Done } from './carry-out.ts'
import { minAvailableOf } from './min-available.ts'
import type { Reporter } from './reporter.ts'
import { endRevision, findRevision, forgotten } from './revision-records.ts'
import { rolloutOf, strategyOf } from './rollout-quota.ts'
import { isServing } from './serving.ts'
import { witnessesMax } from './spare-replicas.ts'
import type { RolloutStep } from './step-rollout.ts'
import type { WorkloadPlan } from './workload-plan.ts'

export interface WorkloadTransactionDeps {
  readonly state: ClusterState
  readonly random: Random
  readonly report: Reporter
  readonly nowMs: number
}

export function workloadTransaction(
  deps: WorkloadTransactionDeps,
  held: Held<WorkloadRecord>,
  step: RolloutStep,
  plan: WorkloadPlan,
): Decision<Done> {
  const { state, report } = deps
  const { record } = step
  const witnesses = witnessesOf(state, record, step, plan)
  const part = firstPart(plan, {
    recordsMax: recordsPerTransactionMax - witnesses.length - (plan.finished ? revisionsMax : 0),
    madeBytes: held.bytes,
    bytesOf: ({ status }) => state.held('replica', status!.id)!.bytes,
  })
  const preconditions: Precondition[] = [unchanged('workload', held), ...witnesses]
  const writes: Write[] = []
  const reports: Done[] = step.words.map(
    ({ word, record: at }) =>
      (): void =>
        report.rolloutProgressed(at, word),
  )
  if (record !== held.record && !part.finished) writes.push(putRecord('workload', held.id, record))
  if (step.ended) {
    const end = endRevision(state, held.id, step.ended)
    preconditions.push(...end.preconditions)
    writes.push(...end.writes)
  }
  const making = { ...deps, ownerOf: owners(state, record) }
  addReplicas(making, record, part, { preconditions, writes, reports })
  if (part.finished) {
    writes.push(deleteRecord('workload', held.id))
    writes.push(...forgotten(state.revisionsOfWorkload(held.id).slice(0, revisionsMax)))
    reports.push(() => report.workloadDeleted(record))
  }
  return { preconditions, writes, result: () => reports.forEach((say) => say()) }
}

/** Of a deleted workload; what is left of them goes when it is gone. */
const revisionsMax = 128

/** The workload as it is to be for replicas of a revision: they are made from what was asked for then. */
function owners(state: ClusterState, record: WorkloadRecord): (revision: bigint) => WorkloadRecord {
  const workload = record.workload!
  const known = new Map([[workload.revision, record]])
  return (revision) => {
    const before = known.get(revision)
    if (before !== undefined) return before
    // Earlier versions kept no history: a replica of it has its spec.
    const found =
      findRevision(state, workload.id, revision) ??
      state
        .replicasOfWorkload(workload.id)
        .map((held) => held.record)
        .find((replica) => replica.status!.revision === revision)
    const { spec, labels } = found ?? workload
    const owner = { ...record, workload: { ...workload, spec: spec!, labels } }
    // After a restart the two revisions have one and the same spec.
    if (found) owner.workload.revision = revision
    known.set(revision, owner)
    return owner
  }
}

/**
 * As many serving replicas as must be left are still as they were seen: others (preemption) stop some as well, each on
 * conditions of its own, and together they must not stop too many. Where that would be too many conditions, preemption
 * leaves a workload alone whose replicas are being replaced.
 */
function witnessesOf(
  state: ClusterState,
  record: WorkloadRecord,
  step: RolloutStep,
  plan: WorkloadPlan,
): Precondition[] {
  const floor = minAvailableOf(record)
  const isRecreated =
    strategyOf(record) === RolloutStrategyKind.RECREATE &&
    plan.stop.some(({ reason }) => reason === 'updated')
  if (record.deletedAtMs > 0n || isRecreated || floor > witnessesMax) return []
  const rollout = rolloutOf(record)
  const isSwitched = step.words.some(({ word }) => word === 'switched')
  const stopped = plan.stop.map(({ replica }) => replica)
  if (!isSwitched && !stopped.some((replica) => isServing(replica, rollout))) return []
  const going = new Set(stopped.map((replica) => replica.status!.id))
  return state
    .replicasOfWorkload(record.workload!.id)
    .filter((held) => isServing(held.record, rollout) && !going.has(held.id))
    .slice(0, floor)
    .map((held) => unchanged('replica', held))
}
