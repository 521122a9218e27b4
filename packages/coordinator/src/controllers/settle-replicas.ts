/**
 * What becomes of a node's replicas when its session begins: what it no longer has is forgotten, what it reports is taken
 * over, and what was given up is taken back or fenced.
 *
 * A replica that is LOST is undecided: its node may have been cut off with it running. Here, and only here, that is
 * decided, by the session's first words. What is fenced is then being stopped, on record: a later session, or a crash of
 * ours, finds it so and cannot bring it back.
 */
import {
  ReplicaState,
  WorkloadType,
  type Hello,
  type ReplicaObservation,
  type ReplicaRecord,
} from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import { deleteRecord, putRecord } from '../state/cluster-state.ts'
import type { ClusterState, Held } from '../state/cluster-state.ts'
import { recordsPerTransactionMax, TransactionRoom } from '../state/transaction-limits.ts'
import { decideReturn, type ReturnVerdict } from './decide-return.ts'
import { isOver, JobCounts, recordsTouched } from './job-attempts.ts'
import { isLost } from './plan-workload.ts'
import { planEvictions } from './plan-evictions.ts'
import { applyObservation, stopping, withStatus } from './replica-records.ts'
import { ReturningWorkloads } from './returning-workloads.ts'

export interface Settlement {
  readonly preconditions: Precondition[]
  readonly writes: Write[]
  /** Given up, and found again to stay. */
  readonly reclaimed: ReplicaRecord[]
  /** Found running though they were given up, and not wanted any more. */
  readonly fenced: ReplicaRecord[]
  /** Each before and after. */
  readonly changed: [ReplicaRecord, ReplicaRecord][]
  /** False when one transaction does not take all: what is left needs another look. */
  readonly complete: boolean
}

interface Known {
  readonly state: Pick<ClusterState, 'held' | 'replicasOnNode' | 'replicasOfWorkload'>
  readonly nowMs: number
}

/** One replica takes two writes at most, its own and its rival's, and a precondition more for its workload; a job's is written. */
const conditionsOfOne = 3

export function settleReplicas(known: Known, nodeId: string, hello: Hello): Settlement {
  const observed = new Map(hello.replicas.map((r) => [r.replicaId, r]))
  const settling: Settling = {
    ...{ preconditions: [], writes: [], reclaimed: [], fenced: [], changed: [] },
    complete: true,
    known,
    nodeId,
    workloads: new ReturningWorkloads(known.state),
    jobs: new JobCounts(known.state),
    decided: new Map(),
  }
  // The one that no longer fits is still taken.
  const room = new TransactionRoom(Math.floor(recordsPerTransactionMax / conditionsOfOne) - 1)
  for (const stored of known.state.replicasOnNode(nodeId)) {
    const held = asDecided(stored, settling)
    if (held === undefined) continue
    const decidedBefore = settling.decided.size
    const observation = observed.get(held.id)
    if (observation === undefined) settleAbsent(held, settling)
    else if (isLost(held.record)) settleReturned(held, observation, settling)
    else settleObserved(held, observation, settling)
    if (settling.decided.size === decidedBefore) continue
    if (!recordsTouched(known.state, held).every(({ bytes }) => room.takes(bytes))) {
      return withWrites({ ...settling, complete: false })
    }
  }
  return withWrites(settling)
}

interface Settling extends Settlement {
  readonly known: Known
  readonly nodeId: string
  readonly workloads: ReturningWorkloads
  readonly jobs: JobCounts
  /** The last word on each replica, by id; undefined: it is forgotten. A rival may be on the same node, with a turn of its own. */
  readonly decided: Map<string, ReplicaRecord | undefined>
}

/** With what was decided of each replica, and how attempts of jobs have ended. */
function withWrites(settling: Settling): Settling {
  for (const [id, record] of settling.decided) {
    settling.writes.push(record ? putRecord('replica', id, record) : deleteRecord('replica', id))
  }
  settling.preconditions.push(...settling.jobs.preconditions())
  settling.writes.push(...settling.jobs.writes())
  return settling
}

/** The replica with what has been decided of it so far. Undefined: it is to be forgotten. */
function asDecided(
  held: Held<ReplicaRecord>,
  { decided }: Settling,
): Held<ReplicaRecord> | undefined {
  if (!decided.has(held.id)) return held
  const record = decided.get(held.id)
  return record && { ...held, record }
}

/** The agent has nothing of it: what was to be stopped is; what should run is assigned anew, what is over must not be. */
function settleAbsent(held: Held<ReplicaRecord>, settling: Settling): void {
  const { record } = held
  if (isLost(record) || record.stopping || isOver(record)) forget(held, settling)
}

function settleObserved(
  held: Held<ReplicaRecord>,
  observation: ReplicaObservation,
  settling: Settling,
): void {
  const reporter = { nodeId: settling.nodeId, nowMs: settling.known.nowMs }
  const verdict = applyObservation(held.record, observation, reporter)
  if (verdict.kind === 'forget') forget(held, settling)
  if (verdict.kind !== 'changed') return
  replace(held, verdict.record, settling)
  settling.changed.push([held.record, verdict.record])
  settling.jobs.note(held.record, verdict.record)
}

function settleReturned(
  held: Held<ReplicaRecord>,
  observation: ReplicaObservation,
  settling: Settling,
): void {
  const { record } = held
  if (observation.removed) return forget(held, settling)
  const { workloads, preconditions, nodeId, known } = settling
  const household = workloads.of(record.status!.workloadId)
  const mustLeave = isEmptied(known, nodeId, record)
  const verdict = decideReturn(household, { original: record, observation, mustLeave })
  preconditions.push(...workloads.takeConditions(record.status!.workloadId))
  const stored = verdict.rival && known.state.held('replica', verdict.rival.status!.id)
  const rival = stored && asDecided(stored, settling)
  if (rival) workloads.guard(rival, preconditions)
  if (verdict.kind === 'fence') {
    const fenced = stopping(record, 'fenced', undefined)
    replace(held, fenced, settling)
    settling.fenced.push(fenced)
    return
  }
  const back = takenBack(record, verdict, observation, settling)
  replace(held, back, settling)
  settling.reclaimed.push(back)
  settling.changed.push([record, back])
  settling.jobs.note(record, back)
  if (verdict.kind === 'keep' && rival) giveUpRival(rival, settling)
}

/** The original is there again, so that the workload's controller stops the rival as soon as enough are ready. */
function giveUpRival(rival: Held<ReplicaRecord>, settling: Settling): void {
  if (rival.record.status!.nodeId === '') return forget(rival, settling)
  // An attempt of a job serves nobody: there is nothing to wait for.
  const surplus =
    rival.record.spec?.type === WorkloadType.JOB
      ? stopping(rival.record, 'returned', undefined)
      : { ...rival.record, replaceWanted: true, replaceReason: 'returned' }
  replace(rival, surplus, settling)
}

function takenBack(
  record: ReplicaRecord,
  verdict: ReturnVerdict,
  observation: ReplicaObservation,
  { nodeId, known }: Settling,
): ReplicaRecord {
  const isLent = verdict.kind === 'lend' && verdict.rival !== undefined
  const live = withStatus(
    record,
    { state: ReplicaState.SCHEDULED, reason: '', message: '' },
    {
      lostAtMs: 0n,
      replaceAtMs: 0n,
      ...(isLent && { replaceWanted: true, replaceReason: 'returned' }),
    },
  )
  const seen = applyObservation(live, observation, { nodeId, nowMs: known.nowMs })
  return seen.kind === 'changed' ? seen.record : live
}

/** Drained, or tainted in a way the replica does not bear. */
function isEmptied({ state, nowMs }: Known, nodeId: string, replica: ReplicaRecord): boolean {
  const node = state.held('node', nodeId)
  const present = withStatus(replica, { state: ReplicaState.RUNNING }, { replaceWanted: false })
  return (
    node !== undefined &&
    planEvictions(node.record, [present], nowMs).some(({ kind }) => kind !== 'keep')
  )
}

function forget(held: Held<ReplicaRecord>, settling: Settling): void {
  settling.workloads.guard(held, settling.preconditions)
  settling.decided.set(held.id, undefined)
  settling.workloads.remove(held.record)
}

function replace(held: Held<ReplicaRecord>, record: ReplicaRecord, settling: Settling): void {
  settling.workloads.guard(held, settling.preconditions)
  settling.decided.set(held.id, record)
  settling.workloads.put(record)
}
