/** What probes and limits say of a replica that runs. */
import { same, stopContainer } from './replica-moves.ts'
import type { Now, ReplicaMachine, ReplicaStep } from './replica-state.ts'
import { livenessRestartsMax, livenessWindowMs } from './restart-policy.ts'

export const probeFailedReason = 'ProbeFailed'
const notReadyReason = 'NotReady'

export function readiness(
  state: ReplicaMachine,
  event: { readonly ready: boolean; readonly message: string },
): ReplicaStep {
  if (state.stage !== 'running') return same(state)
  // A liveness probe that fails is the worse news, and stays until it is over.
  const kept = state.reason === probeFailedReason
  const reason = kept ? state.reason : event.message === '' ? '' : notReadyReason
  const message = kept ? state.message : event.message
  const { ready } = event
  if (ready === state.ready && reason === state.reason && message === state.message) {
    return same(state)
  }
  return same({ ...state, ready, reason, message })
}

export function probeRecovered(state: ReplicaMachine): ReplicaStep {
  const isOver = state.stage === 'running' && state.reason === probeFailedReason
  return same(isOver ? { ...state, reason: '', message: '' } : state)
}

export function probeFailed(
  state: ReplicaMachine,
  probe: 'startup' | 'liveness',
  message: string,
  now: Now,
): ReplicaStep {
  if (state.stage !== 'running') return same(state)
  const since = now.monotonicMs - livenessWindowMs
  const recent = state.livenessRestartsAtMs.filter((atMs) => atMs > since)
  if (recent.length >= livenessRestartsMax) {
    const said =
      `${probe} probe fails, but it was restarted ${livenessRestartsMax} times within ` +
      `5 minutes already: ${message}`
    const next = {
      ...state,
      reason: probeFailedReason,
      message: said,
      livenessRestartsAtMs: recent,
    }
    return { state: next, effects: [{ kind: 'count-restart-refused' }] }
  }
  const lastEnd = {
    exitCode: -1,
    reason: probeFailedReason,
    message: `stopped because its ${probe} probe failed: ${message}`,
    atMs: now.wallMs,
  }
  const livenessRestartsAtMs = [...recent, now.monotonicMs]
  return stopContainer({ ...state, lastEnd, livenessRestartsAtMs }, 'apply-policy')
}

export function storageExceeded(state: ReplicaMachine, message: string, now: Now): ReplicaStep {
  if (state.stage !== 'running') return same(state)
  const reason = 'EphemeralStorageExceeded'
  const lastEnd = { exitCode: -1, reason, message, atMs: now.wallMs }
  return stopContainer({ ...state, lastEnd, reason, message }, 'fail')
}
