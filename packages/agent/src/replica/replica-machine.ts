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
  cleanupRetryDelayMs,
  crashLoopMessage,
  decideRestart,
  describeExit,
  livenessRestartsMax,
  livenessWindowMs,
  pullRetryDelayMs,
  stableRunMs,
} from './restart-policy.ts'
import {
  graceMsOf,
  type Aftermath,
  type Now,
  type ReplicaEffect,
  type ReplicaEvent,
  type ReplicaMachine,
  type ReplicaStep,
  type RunEnd,
} from './replica-state.ts'

export function stepReplica(state: ReplicaMachine, event: ReplicaEvent, now: Now): ReplicaStep {
  if (state.stage === 'removed') return same(state)
  switch (event.kind) {
    case 'begin':
      return state.stage === 'new' ? pull(state) : same(state)
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
      return state.stage === 'running'
        ? ended(state, runEndOf(state, event), now, 'policy')
        : same(state)
    case 'vanished':
      return state.stage === 'running' ? ended(state, vanishedEnd(now), now, 'policy') : same(state)
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
      return state.stage === 'running' ? readiness(state, event) : same(state)
    case 'probe-recovered':
      return state.stage === 'running' && state.reason === probeFailedReason
        ? same({ ...state, reason: '', message: '' })
        : same(state)
    case 'probe-failed':
      return probeFailed(state, event.probe, event.message, now)
    case 'storage-exceeded':
      return storageExceeded(state, event.message, now)
    case 'replace':
      return replace(state, event.assignment)
    case 'restart':
      return restart(state, event.graceMs)
    case 'stop':
      return stop(state, event.graceMs)
    case 'halt':
      return halt(state, event.graceMs)
    case 'runtime-available':
      return runtimeAvailable(state)
    default:
      return assertNever(event)
  }
}

/** Waits that the return of the runtime ends. */
const runtimeReason = 'RuntimeUnavailable'
const probeFailedReason = 'ProbeFailed'
const notReadyReason = 'NotReady'

// --- towards running

function pull(state: ReplicaMachine): ReplicaStep {
  const next = { ...idle(state), stage: 'pulling', reason: 'PullingImage' } as const
  const message = `pulling ${state.assignment.spec?.image ?? ''}`
  return { state: { ...next, message }, effects: [{ kind: 'pull' }] }
}

function start(state: ReplicaMachine): ReplicaStep {
  const next = {
    ...state,
    stage: 'starting',
    reason: 'ContainerCreating',
    message: 'making the container and its network',
    pullFailuresInRow: 0,
    containerLeft: true,
  } as const
  return { state: next, effects: [{ kind: 'start' }] }
}

function started(
  state: ReplicaMachine,
  event: Extract<ReplicaEvent, { kind: 'started' }>,
  now: Now,
): ReplicaStep {
  if (state.stage === 'cancelling') return stopContainer(state, state.aftermath)
  if (state.stage !== 'starting') return same(state)
  return { state: running(state, { ...event, ready: !gatesReadiness(state) }, now), effects: [] }
}

function running(
  state: ReplicaMachine,
  run: { readonly address: string; readonly startedAtMs: number; readonly ready: boolean },
  now: Now,
): ReplicaMachine {
  const ageMs = Math.max(0, now.wallMs - run.startedAtMs)
  return {
    ...idle(state),
    stage: 'running',
    address: run.address,
    startedAtMs: run.startedAtMs,
    startedMonotonicMs: now.monotonicMs - ageMs,
    ready: run.ready,
    cleanupFailuresInRow: 0,
    containerLeft: true,
  }
}

/** With a probe to pass, it is not ready until the probe has passed. */
function gatesReadiness(state: ReplicaMachine): boolean {
  const spec = state.assignment.spec
  return (
    spec?.readinessProbe?.check.case !== undefined || spec?.startupProbe?.check.case !== undefined
  )
}

function pullFailed(
  state: ReplicaMachine,
  event: Extract<ReplicaEvent, { kind: 'pull-failed' }>,
  now: Now,
): ReplicaStep {
  const pullFailuresInRow = state.pullFailuresInRow + 1
  const delayMs = pullRetryDelayMs(event.code, pullFailuresInRow)
  const backingOff = pullFailuresInRow > 1 ? 'ImagePullBackOff' : 'ErrImagePull'
  const reason = event.code === 'invalid_argument' ? 'InvalidImage' : backingOff
  const message = `${event.message}; tried ${times(pullFailuresInRow)}`
  return wait({ ...state, pullFailuresInRow }, { reason, message, delayMs }, now)
}

function startFailed(
  state: ReplicaMachine,
  event: Extract<ReplicaEvent, { kind: 'start-failed' }>,
  now: Now,
): ReplicaStep {
  if (event.code === 'unavailable' || event.code === 'cancelled') {
    // Nothing is wrong with the replica: not a crash of its own.
    const cleanupFailuresInRow = state.cleanupFailuresInRow + 1
    const delayMs = cleanupRetryDelayMs(cleanupFailuresInRow)
    const why = { reason: runtimeReason, message: event.message, delayMs }
    return wait({ ...state, cleanupFailuresInRow }, why, now)
  }
  const reason = event.code === 'permission_denied' ? 'NotAllowed' : 'StartError'
  const end = { exitCode: -1, reason, message: event.message, atMs: now.wallMs }
  return ended(state, end, now, 'policy')
}

// --- after a run

function ended(
  state: ReplicaMachine,
  end: RunEnd,
  now: Now,
  cause: 'policy' | 'manual' | 'liveness_failure',
): ReplicaStep {
  const ranMs = state.startedAtMs === 0 ? 0 : now.monotonicMs - state.startedMonotonicMs
  const byHand = cause === 'manual'
  const crashesBefore = ranMs >= stableRunMs ? 0 : state.crashesInRow
  const crashesInRow = byHand ? crashesBefore : crashesBefore + 1
  const policy = state.assignment.spec?.restartPolicy
  const decision = decideRestart(policy, end, crashesInRow)
  const next = { ...idle(state), crashesInRow, lastEnd: end, startedAtMs: 0 }
  if (decision.kind === 'succeeded') {
    const { reason, message } = end
    return { state: { ...next, stage: 'succeeded', reason, message }, effects: [] }
  }
  if (decision.kind === 'failed') {
    const { reason, message } = decision
    return { state: { ...next, stage: 'failed', reason, message }, effects: [] }
  }
  const counted = { ...next, restartCount: state.restartCount + 1 }
  const count: ReplicaEffect = { kind: 'count-restart', cause }
  if (byHand) {
    const again = pull(counted)
    return { state: again.state, effects: [count, ...again.effects] }
  }
  const reason = crashesInRow > 1 ? 'CrashLoopBackOff' : end.reason
  const message = crashLoopMessage(end, crashesInRow, decision.delayMs, now.wallMs)
  const waiting = wait(counted, { reason, message, delayMs: decision.delayMs }, now)
  return { state: waiting.state, effects: [count] }
}

function runEndOf(
  state: ReplicaMachine,
  event: {
    readonly exitCode: number
    readonly oomKilled: boolean
    readonly finishedAtMs: number
  },
): RunEnd {
  const memoryBytesMax = Number(state.assignment.spec?.resources?.limits?.memoryBytes ?? 0n)
  const described = describeExit(event.exitCode, event.oomKilled, memoryBytesMax)
  return { exitCode: event.exitCode, ...described, atMs: event.finishedAtMs }
}

function vanishedEnd(now: Now): RunEnd {
  const message = 'its container is gone from the runtime'
  return { exitCode: -1, reason: 'ContainerVanished', message, atMs: now.wallMs }
}

function readiness(
  state: ReplicaMachine,
  event: { readonly ready: boolean; readonly message: string },
): ReplicaStep {
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

function probeFailed(
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

function storageExceeded(state: ReplicaMachine, message: string, now: Now): ReplicaStep {
  if (state.stage !== 'running') return same(state)
  const reason = 'EphemeralStorageExceeded'
  const lastEnd = { exitCode: -1, reason, message, atMs: now.wallMs }
  return stopContainer({ ...state, lastEnd, reason, message }, 'fail')
}

// --- told from outside

function replace(state: ReplicaMachine, assignment: ReplicaMachine['assignment']): ReplicaStep {
  if (bound(state)) return same(state)
  const next = { ...state, assignment, crashesInRow: 0, pullFailuresInRow: 0 }
  switch (state.stage) {
    case 'new':
      return same(next)
    case 'pulling':
      return cancel(next, 'start', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'start', [])
    case 'running':
      return stopContainer({ ...next, reason: 'Updating', message: 'its spec changed' }, 'start')
    case 'cancelling':
    case 'stopping':
      return same({ ...next, aftermath: 'start' })
    default:
      return pull(next)
  }
}

function restart(state: ReplicaMachine, graceMs: number | undefined): ReplicaStep {
  if (state.stage === 'waiting' || state.stage === 'failed' || state.stage === 'succeeded') {
    return pull({ ...state, crashesInRow: 0, pullFailuresInRow: 0 })
  }
  if (state.stage !== 'running') return same(state)
  const next = { ...state, graceMs, reason: 'Restarting', message: 'restarted by hand' }
  return stopContainer({ ...next, lastEnd: undefined }, 'apply-policy')
}

function stop(state: ReplicaMachine, graceMs: number | undefined): ReplicaStep {
  const next = { ...state, graceMs, ready: false }
  switch (state.stage) {
    case 'pulling':
      return cancel(next, 'remove', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'remove', [])
    case 'running':
      return stopContainer({ ...next, reason: '', message: '' }, 'remove')
    case 'cancelling':
      return same({ ...next, aftermath: 'remove' })
    case 'stopping':
      return stopSooner(state, next)
    case 'removing':
      return same(next)
    default:
      return remove(next)
  }
}

/** The stop under way becomes one that removes; it is hurried when it is now to be over sooner. */
function stopSooner(state: ReplicaMachine, asked: ReplicaMachine): ReplicaStep {
  const graceMs = graceMsOf(asked)
  if (graceMs >= graceMsOf(state)) return same({ ...state, aftermath: 'remove' })
  return { state: { ...asked, aftermath: 'remove' }, effects: [{ kind: 'hurry', graceMs }] }
}

function halt(state: ReplicaMachine, graceMs: number | undefined): ReplicaStep {
  const next = { ...state, graceMs }
  switch (state.stage) {
    case 'pulling':
      return cancel(next, 'hold', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'hold', [])
    case 'running':
      return stopContainer({ ...next, reason: 'Stopped', message: 'stopped by hand' }, 'hold')
    case 'new':
    case 'waiting':
      return held(state)
    default:
      return same(state)
  }
}

function held(state: ReplicaMachine): ReplicaStep {
  const next = { ...idle(state), stage: 'succeeded', startedAtMs: 0 } as const
  return same({ ...next, reason: 'Stopped', message: 'stopped by hand' })
}

function runtimeAvailable(state: ReplicaMachine): ReplicaStep {
  if (state.timerAtMs === undefined) return same(state)
  if (state.stage === 'waiting' && state.reason !== runtimeReason) return same(state)
  return resume(state)
}

// --- towards removed

function cancel(
  state: ReplicaMachine,
  aftermath: Aftermath,
  effects: readonly ReplicaEffect[],
): ReplicaStep {
  return { state: { ...state, stage: 'cancelling', aftermath, ready: false }, effects }
}

/** The pull or start that was not wanted any more has ended, and nothing runs. */
function afterCancelled(state: ReplicaMachine): ReplicaStep {
  if (state.aftermath === 'remove') return remove(state)
  return state.aftermath === 'hold' ? held(state) : pull(state)
}

function stopContainer(state: ReplicaMachine, aftermath: Aftermath): ReplicaStep {
  const next = {
    ...state,
    stage: 'stopping',
    aftermath,
    ready: false,
    timerAtMs: undefined,
  } as const
  return { state: next, effects: [{ kind: 'stop', graceMs: graceMsOf(state) }] }
}

function afterStopped(
  state: ReplicaMachine,
  event: Extract<ReplicaEvent, { kind: 'stop-done' }>,
  now: Now,
): ReplicaStep {
  const next = { ...state, graceMs: undefined, cleanupFailuresInRow: 0 }
  const exitCode = event.exitCode ?? -1
  if (state.aftermath === 'remove') {
    return remove({ ...next, lastEnd: runEndOf(state, { ...event, exitCode }) })
  }
  if (state.aftermath === 'start') return pull(next)
  if (state.aftermath === 'hold') {
    return held({ ...next, lastEnd: runEndOf(state, { ...event, exitCode }) })
  }
  const asked = state.lastEnd?.reason === probeFailedReason
  if (state.aftermath === 'fail') {
    const lastEnd = state.lastEnd === undefined ? undefined : { ...state.lastEnd, exitCode }
    const failed = { ...idle(next), stage: 'failed', lastEnd, startedAtMs: 0 } as const
    return same({ ...failed, reason: state.reason, message: state.message })
  }
  if (asked && state.lastEnd !== undefined) {
    // A process that ends well on SIGTERM has failed all the same: its probe said so.
    const end = { ...state.lastEnd, exitCode: exitCode === 0 ? 143 : exitCode }
    return ended(next, end, now, 'liveness_failure')
  }
  return ended(next, runEndOf(state, { ...event, exitCode }), now, 'manual')
}

function remove(state: ReplicaMachine): ReplicaStep {
  const next = { ...state, stage: 'removing', ready: false, timerAtMs: undefined } as const
  return { state: next, effects: [{ kind: 'remove' }] }
}

function removed(state: ReplicaMachine): ReplicaStep {
  return same({ ...idle(state), stage: 'removed', containerLeft: false, startedAtMs: 0 })
}

function cleanupFailed(state: ReplicaMachine, message: string, now: Now): ReplicaStep {
  if (state.stage !== 'stopping' && state.stage !== 'removing') return same(state)
  const cleanupFailuresInRow = state.cleanupFailuresInRow + 1
  const timerAtMs = now.monotonicMs + cleanupRetryDelayMs(cleanupFailuresInRow)
  return same({ ...state, cleanupFailuresInRow, timerAtMs, message })
}

// --- waiting

function wait(
  state: ReplicaMachine,
  why: { readonly reason: string; readonly message: string; readonly delayMs: number },
  now: Now,
): ReplicaStep {
  const { reason, message } = why
  const timerAtMs = now.monotonicMs + why.delayMs
  return same({ ...idle(state), stage: 'waiting', reason, message, timerAtMs })
}

function timer(state: ReplicaMachine, now: Now): ReplicaStep {
  if (state.timerAtMs === undefined || now.monotonicMs < state.timerAtMs) return same(state)
  return resume(state)
}

function resume(state: ReplicaMachine): ReplicaStep {
  const next = { ...state, timerAtMs: undefined }
  if (state.stage === 'waiting') return pull(next)
  if (state.stage === 'stopping') return stopContainer(next, state.aftermath)
  if (state.stage === 'removing') return remove(next)
  return same(next)
}

// --- small change

/** On its way out: a new spec cannot bring it back. */
function bound(state: ReplicaMachine): boolean {
  if (state.stage === 'removing') return true
  const leaving = state.stage === 'cancelling' || state.stage === 'stopping'
  return leaving && state.aftermath === 'remove'
}

function idle(state: ReplicaMachine): ReplicaMachine {
  return { ...state, reason: '', message: '', ready: false, timerAtMs: undefined }
}

function same(state: ReplicaMachine): ReplicaStep {
  return { state, effects: [] }
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
