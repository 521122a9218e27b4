/** How a pull, a start or a run has ended, and what follows: another try, a wait, or the end. */
import { probeFailedReason } from './replica-health.ts'
import { held, idle, pull, remove, same, wait } from './replica-moves.ts'
import type {
  Now,
  ReplicaEffect,
  ReplicaEvent,
  ReplicaMachine,
  ReplicaStep,
  RunEnd,
} from './replica-state.ts'
import {
  cleanupRetryDelayMs,
  crashLoopMessage,
  decideRestart,
  describeExit,
  pullRetryDelayMs,
  stableRunMs,
} from './restart-policy.ts'
import { suspendedNow } from './suspension.ts'

/** A wait that the return of the runtime ends. */
export const runtimeReason = 'RuntimeUnavailable'

export function pullFailed(
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

export function startFailed(
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

/** The process of the present run has ended by itself. */
export function exited(
  state: ReplicaMachine,
  event: Extract<ReplicaEvent, { kind: 'exited' }>,
  now: Now,
): ReplicaStep {
  if (state.stage === 'lingering') return remove({ ...state, lastEnd: runEndOf(state, event) })
  return state.stage === 'running'
    ? ended(state, runEndOf(state, event), now, 'policy')
    : same(state)
}

export function vanished(state: ReplicaMachine, now: Now): ReplicaStep {
  if (state.stage === 'lingering') return remove({ ...state, lastEnd: vanishedEnd(now) })
  return state.stage === 'running' ? ended(state, vanishedEnd(now), now, 'policy') : same(state)
}

export function afterStopped(
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
  if (state.aftermath === 'suspend') {
    return suspendedNow({ ...next, lastEnd: runEndOf(state, { ...event, exitCode }) })
  }
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

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
