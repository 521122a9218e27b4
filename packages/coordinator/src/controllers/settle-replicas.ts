/**
 * What becomes of a node's replicas when its session begins: what it no longer has is forgotten, what it reports is taken
 * over, and what was given up but found no other place is taken back.
 */
import {
  ReplicaState,
  type Hello,
  type ReplicaObservation,
  type ReplicaRecord,
} from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import { deleteRecord, putRecord, unchanged } from '../state/cluster-state.ts'
import type { ClusterState, Held } from '../state/cluster-state.ts'
import { recordsPerTransactionMax, TransactionRoom } from '../state/transaction-limits.ts'
import { applyObservation, withStatus } from './replica-records.ts'

export interface Settlement {
  readonly preconditions: Precondition[]
  readonly writes: Write[]
  readonly reclaimed: ReplicaRecord[]
  /** Found running though they were given up and replaced. */
  readonly fenced: ReplicaRecord[]
  /** Each before and after. */
  readonly changed: [ReplicaRecord, ReplicaRecord][]
  /** False when one transaction does not take all: what is left needs another look. */
  readonly complete: boolean
}

interface Known {
  readonly state: Pick<ClusterState, 'replicasOnNode' | 'replicasOfWorkload'>
  readonly nowMs: number
}

export function settleReplicas(known: Known, nodeId: string, hello: Hello): Settlement {
  const observed = new Map(hello.replicas.map((r) => [r.replicaId, r]))
  const settlement: Settlement = {
    preconditions: [],
    writes: [],
    reclaimed: [],
    fenced: [],
    changed: [],
    complete: true,
  }
  // One replica takes two writes at most: its own and its successor's. The one that no longer fits is still taken.
  const room = new TransactionRoom(Math.floor(recordsPerTransactionMax / 2) - 1)
  for (const held of known.state.replicasOnNode(nodeId)) {
    const writesBefore = settlement.writes.length
    const observation = observed.get(held.id)
    if (observation === undefined) settleAbsent(held, settlement)
    else settleObserved(known, held, observation, settlement)
    if (settlement.writes.length > writesBefore && !room.takes(held.bytes)) {
      return { ...settlement, complete: false }
    }
  }
  return settlement
}

/** The agent has nothing of it: what was to be stopped is; what should run will be assigned anew. */
function settleAbsent(held: Held<ReplicaRecord>, settlement: Settlement): void {
  const { record, id } = held
  if (record.status!.state !== ReplicaState.LOST && !record.stopping) return
  settlement.preconditions.push(unchanged('replica', held))
  settlement.writes.push(deleteRecord('replica', id))
}

function settleObserved(
  known: Known,
  held: Held<ReplicaRecord>,
  observation: ReplicaObservation,
  settlement: Settlement,
): void {
  const { record, id } = held
  const isLost = record.status!.state === ReplicaState.LOST
  const successor = isLost ? successorOf(known, record) : undefined
  const canReturn = isLost && !record.stopping && successor && isUnplaced(successor.record)
  if (isLost && !canReturn && !observation.removed) settlement.fenced.push(record)
  const before = canReturn ? reclaimed(record) : record
  const reporter = { nodeId: record.status!.nodeId, nowMs: known.nowMs }
  const verdict = applyObservation(before, observation, reporter)
  if (verdict.kind === 'unchanged' && !canReturn) return
  settlement.preconditions.push(unchanged('replica', held))
  if (verdict.kind === 'forget') {
    settlement.writes.push(deleteRecord('replica', id))
    return
  }
  const after = verdict.kind === 'changed' ? verdict.record : before
  settlement.writes.push(putRecord('replica', id, after))
  settlement.changed.push([record, after])
  if (!canReturn) return
  settlement.preconditions.push(unchanged('replica', successor))
  settlement.writes.push(deleteRecord('replica', successor.id))
  settlement.reclaimed.push(after)
}

function successorOf({ state }: Known, record: ReplicaRecord): Held<ReplicaRecord> | undefined {
  const { workloadId, id } = record.status!
  return state.replicasOfWorkload(workloadId).find((held) => held.record.status!.replaces === id)
}

function isUnplaced(replica: ReplicaRecord): boolean {
  return replica.status!.nodeId === ''
}

/** Taken back before anything else took its place. */
function reclaimed(replica: ReplicaRecord): ReplicaRecord {
  return withStatus(
    replica,
    { state: ReplicaState.SCHEDULED, reason: '', message: '' },
    { lostAtMs: 0n },
  )
}
