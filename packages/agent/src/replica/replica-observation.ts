/** A replica's state in the words of the contract. Pure. */
import { create } from '@bufbuild/protobuf'
import { ReplicaObservationSchema, ReplicaState, type ReplicaObservation } from '@cloudless/api'
import type { ReplicaMachine } from './replica-state.ts'

/** `sequence` is the caller's: it grows with each observation that is sent. */
export function observeReplica(state: ReplicaMachine): ReplicaObservation {
  return create(ReplicaObservationSchema, {
    replicaId: state.assignment.replicaId,
    state: contractState(state),
    ready: state.stage === 'running' && state.ready,
    containerId: state.containerLeft ? state.containerId : '',
    address: state.stage === 'running' ? state.address : '',
    restartCount: state.restartCount,
    lastExitCode: state.lastEnd?.exitCode ?? -1,
    reason: reasonOf(state),
    message: messageFor(state),
    startedAtMs: BigInt(Math.round(state.startedAtMs)),
    removed: state.stage === 'removed',
  })
}

/** Whether the two say the same; sequence aside. */
export function sameObservation(one: ReplicaObservation, other: ReplicaObservation): boolean {
  return (
    one.state === other.state &&
    one.ready === other.ready &&
    one.containerId === other.containerId &&
    one.address === other.address &&
    one.restartCount === other.restartCount &&
    one.lastExitCode === other.lastExitCode &&
    one.reason === other.reason &&
    one.message === other.message &&
    one.startedAtMs === other.startedAtMs &&
    one.removed === other.removed
  )
}

/** What a replica that is not known here is answered with: it is gone. */
export function goneObservation(replicaId: string): ReplicaObservation {
  return create(ReplicaObservationSchema, {
    replicaId,
    state: ReplicaState.STOPPED,
    lastExitCode: -1,
    removed: true,
  })
}

function contractState(state: ReplicaMachine): ReplicaState {
  switch (state.stage) {
    case 'running':
      return ReplicaState.RUNNING
    case 'cancelling':
    case 'stopping':
      return leavesForGood(state) ? ReplicaState.STOPPING : ReplicaState.STARTING
    case 'lingering':
    case 'removing':
      return ReplicaState.STOPPING
    case 'removed':
    case 'succeeded':
      return ReplicaState.STOPPED
    case 'failed':
      return ReplicaState.FAILED
    default:
      return ReplicaState.STARTING
  }
}

function leavesForGood(state: ReplicaMachine): boolean {
  return state.aftermath === 'remove' || state.aftermath === 'fail'
}

function reasonOf(state: ReplicaMachine): string {
  if (state.reason !== '') return state.reason
  if (state.stage === 'stopping' && state.aftermath === 'apply-policy') {
    return state.lastEnd?.reason ?? 'Restarting'
  }
  return ''
}

function messageFor(state: ReplicaMachine): string {
  if (state.message !== '') return state.message
  if (state.lastEnd === undefined || state.stage === 'removed') return ''
  return state.stage === 'running' && state.restartCount > 0
    ? `before this run: ${state.lastEnd.message}`
    : ''
}
