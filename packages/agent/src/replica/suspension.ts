/** A replica that is stopped for as long as the coordinator is not heard, and begun again on its word. Pure. */
import { cancel, idle, pull, same, stopContainer } from './replica-moves.ts'
import type { ReplicaMachine, ReplicaStep } from './replica-state.ts'

const suspendedReason = 'Disconnected'

/** Whatever it does, it comes to rest as if it had never been begun. One that leaves or has ended goes on doing so. */
export function suspend(state: ReplicaMachine, message: string): ReplicaStep {
  const next = { ...state, suspended: true, reason: suspendedReason, message }
  switch (state.stage) {
    case 'pulling':
      return cancel(next, 'suspend', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'suspend', [])
    case 'running':
      return stopContainer(next, 'suspend')
    case 'new':
    case 'waiting':
      return suspendedNow(next)
    case 'cancelling':
    case 'stopping': {
      const goesOn = state.aftermath === 'start' || state.aftermath === 'apply-policy'
      return same(goesOn ? { ...next, aftermath: 'suspend' } : state)
    }
    default:
      return same(state)
  }
}

/** Nothing of it runs any more. */
export function suspendedNow(state: ReplicaMachine): ReplicaStep {
  const { reason, message } = state
  return same({ ...idle(state), stage: 'new', startedAtMs: 0, reason, message })
}

/** It is to run: from the beginning, or after a suspension. */
export function begin(state: ReplicaMachine): ReplicaStep {
  const next = { ...state, suspended: false }
  if (state.stage === 'new') return pull(next)
  const isStopping = state.stage === 'cancelling' || state.stage === 'stopping'
  return same(isStopping && state.aftermath === 'suspend' ? { ...next, aftermath: 'start' } : state)
}
