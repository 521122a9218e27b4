/**
 * The life of one replica, as a pure step: an event in, the next state and what to do out.
 *
 * Invariants (each has a property test):
 *   1. At most one pull, start, stop or remove is in flight; a start is only asked for when no container of the replica
 *      can be running.
 *   2. A stop leads to `removed` whatever else happens, as long as the runtime answers some time.
 *   3. `removed` is final, and nothing is asked for after it.
 *   4. It is ready only while it runs.
 *
 * The shell (supervisor) performs the effects, keeps the timer that `timerAtMs` names, and probes while it runs.
 */
import { assertNever } from '@cloudless/base'
import {
  afterStopped,
  exited,
  pullFailed,
  runtimeReason,
  startFailed,
  vanished,
} from './replica-endings.ts'
import { probeFailed, probeRecovered, readiness, storageExceeded } from './replica-health.ts'
import {
  held,
  pull,
  remove,
  removed,
  running,
  same,
  start,
  stopContainer,
} from './replica-moves.ts'
import { halt, replace, restart, stop } from './replica-orders.ts'
import type { Now, ReplicaEvent, ReplicaMachine, ReplicaStep } from './replica-state.ts'
import { begin, suspend, suspendedNow } from './suspension.ts'
import { cleanupRetryDelayMs } from './restart-policy.ts'
import { gatesReadiness } from './spec-probes.ts'

export function stepReplica(state: ReplicaMachine, event: ReplicaEvent, now: Now): ReplicaStep {
  if (state.stage === 'removed') return same(state)
  switch (event.kind) {
    case 'begin':
      return begin(state)
    case 'suspend':
      return suspend(state, event.message)
    case 'adopt':
      return state.stage === 'new'
        ? { state: running(state, event, now), effects: [] }
        : same(state)
    case 'pulled':
      if (state.stage === 'cancelling') return afterCancelled(state)
      return state.stage === 'pulling' ? start(state) : same(state)
    case 'pull-failed':
      if (state.stage === 'cancelling') return afterCancelled(state)
      return state.stage === 'pulling' ? pullFailed(state, event, now) : same(state)
    case 'started':
      return started(state, event, now)
    case 'start-failed':
      if (state.stage === 'cancelling') return afterCancelled(state)
      return state.stage === 'starting' ? startFailed(state, event, now) : same(state)
    case 'exited':
      return exited(state, event, now)
    case 'vanished':
      return vanished(state, now)
    case 'stop-done':
      return state.stage === 'stopping' ? afterStopped(state, event, now) : same(state)
    case 'stop-failed':
    case 'remove-failed':
      return cleanupFailed(state, event.message, now)
    case 'remove-done':
      return state.stage === 'removing' ? removed(state) : same(state)
    case 'timer':
      return timer(state, now)
    case 'readiness':
      return readiness(state, event)
    case 'probe-recovered':
      return probeRecovered(state)
    case 'probe-failed':
      return probeFailed(state, event.probe, event.message, now)
    case 'storage-exceeded':
      return storageExceeded(state, event.message, now)
    case 'replace':
      return replace(state, event.assignment)
    case 'restart':
      return restart(state, event.graceMs)
    case 'stop':
      return stop(state, event, now)
    case 'halt':
      return halt(state, event.graceMs)
    case 'runtime-available':
      return runtimeAvailable(state)
    default:
      return assertNever(event)
  }
}

function started(
  state: ReplicaMachine,
  event: Extract<ReplicaEvent, { kind: 'started' }>,
  now: Now,
): ReplicaStep {
  if (state.stage === 'cancelling') return stopContainer(state, state.aftermath)
  if (state.stage !== 'starting') return same(state)
  return {
    state: running(state, { ...event, ready: !gatesReadiness(state.assignment.spec) }, now),
    effects: [],
  }
}

/** The pull or start that was not wanted any more has ended, and nothing runs. */
function afterCancelled(state: ReplicaMachine): ReplicaStep {
  if (state.aftermath === 'remove') return remove(state)
  if (state.aftermath === 'suspend') return suspendedNow(state)
  return state.aftermath === 'hold' ? held(state) : pull(state)
}

function cleanupFailed(state: ReplicaMachine, message: string, now: Now): ReplicaStep {
  if (state.stage !== 'stopping' && state.stage !== 'removing') return same(state)
  const cleanupFailuresInRow = state.cleanupFailuresInRow + 1
  const timerAtMs = now.monotonicMs + cleanupRetryDelayMs(cleanupFailuresInRow)
  return same({ ...state, cleanupFailuresInRow, timerAtMs, message })
}

function timer(state: ReplicaMachine, now: Now): ReplicaStep {
  if (state.timerAtMs === undefined || now.monotonicMs < state.timerAtMs) return same(state)
  return resume(state)
}

function runtimeAvailable(state: ReplicaMachine): ReplicaStep {
  if (state.timerAtMs === undefined) return same(state)
  if (state.stage === 'lingering') return same(state)
  if (state.stage === 'waiting' && state.reason !== runtimeReason) return same(state)
  return resume(state)
}

function resume(state: ReplicaMachine): ReplicaStep {
  const next = { ...state, timerAtMs: undefined }
  if (state.stage === 'waiting') return pull(next)
  if (state.stage === 'lingering') return stopContainer(next, 'remove')
  if (state.stage === 'stopping') return stopContainer(next, state.aftermath)
  if (state.stage === 'removing') return remove(next)
  return same(next)
}
