/** Between a replica in memory and its durable record. Pure. */
import type { ReplicaRecord } from './assignment-record.ts'
import { newReplica, type ReplicaMachine } from './replica-state.ts'

/** Where a replica comes from: the coordinator, or a call by hand with its key. */
export interface ReplicaFacts {
  readonly adHoc: boolean
  readonly idempotencyKey: string
}

export interface RecordFacts extends ReplicaFacts {
  readonly bootId: string
}

export function recordOfReplica(state: ReplicaMachine, facts: RecordFacts): ReplicaRecord {
  const ended = state.stage === 'succeeded' || state.stage === 'failed' ? state.stage : null
  return {
    assignment: state.assignment,
    adHoc: facts.adHoc,
    idempotencyKey: facts.idempotencyKey,
    stopping: leaves(state) ? { graceMs: state.graceMs ?? null } : null,
    ended,
    reason: ended === null && !state.suspended ? '' : state.reason,
    message: ended === null && !state.suspended ? '' : state.message,
    restartCount: state.restartCount,
    lastEnd: state.lastEnd ?? null,
    address: state.address,
    ready: state.ready,
    bootId: state.containerLeft ? facts.bootId : '',
    suspended: state.suspended,
  }
}

/** As it was, not begun: the caller adopts it, begins it, stops it, or leaves it ended. */
export function replicaOfRecord(record: ReplicaRecord): ReplicaMachine {
  return {
    ...newReplica(record.assignment),
    stage: record.ended ?? 'new',
    reason: record.reason,
    message: record.message,
    restartCount: record.restartCount,
    lastEnd: record.lastEnd ?? undefined,
    address: record.address,
    containerLeft: record.bootId !== '',
    suspended: record.suspended ?? false,
  }
}

/** Whether the record on disk would say something else. */
export function recordDiffers(before: ReplicaMachine, after: ReplicaMachine): boolean {
  return (
    before.assignment !== after.assignment ||
    before.restartCount !== after.restartCount ||
    before.address !== after.address ||
    before.ready !== after.ready ||
    before.lastEnd !== after.lastEnd ||
    before.containerLeft !== after.containerLeft ||
    before.suspended !== after.suspended ||
    leaves(before) !== leaves(after) ||
    endedAs(before) !== endedAs(after)
  )
}

function leaves(state: ReplicaMachine): boolean {
  if (['lingering', 'removing', 'removed'].includes(state.stage)) return true
  const onItsWay = state.stage === 'stopping' || state.stage === 'cancelling'
  return onItsWay && state.aftermath === 'remove'
}

function endedAs(state: ReplicaMachine): string {
  return state.stage === 'succeeded' || state.stage === 'failed' ? state.stage : ''
}
