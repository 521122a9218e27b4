/**
 * The moves that the machine is made of: each enters a stage and asks for what belongs to it. Whether a move is due is
 * for those who call it.
 */
import {
  graceMsOf,
  type Aftermath,
  type Now,
  type ReplicaEffect,
  type ReplicaMachine,
  type ReplicaStep,
} from './replica-state.ts'

/** Nothing is asked for. */
export function same(state: ReplicaMachine): ReplicaStep {
  return { state, effects: [] }
}

/** With nothing to say and no timer. */
export function idle(state: ReplicaMachine): ReplicaMachine {
  return { ...state, reason: '', message: '', ready: false, timerAtMs: undefined }
}

export function pull(state: ReplicaMachine): ReplicaStep {
  const next = { ...idle(state), stage: 'pulling', reason: 'PullingImage' } as const
  const message = `pulling ${state.assignment.spec?.image ?? ''}`
  return { state: { ...next, message }, effects: [{ kind: 'pull' }] }
}

export function start(state: ReplicaMachine): ReplicaStep {
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

/** A run has begun, or was found. */
export function running(
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

/** Nothing runs until the timer is due. */
export function wait(
  state: ReplicaMachine,
  why: { readonly reason: string; readonly message: string; readonly delayMs: number },
  now: Now,
): ReplicaStep {
  const { reason, message } = why
  const timerAtMs = now.monotonicMs + why.delayMs
  return same({ ...idle(state), stage: 'waiting', reason, message, timerAtMs })
}

/** What is in flight is not wanted any more; its end is waited for. */
export function cancel(
  state: ReplicaMachine,
  aftermath: Aftermath,
  effects: readonly ReplicaEffect[],
): ReplicaStep {
  return { state: { ...state, stage: 'cancelling', aftermath, ready: false }, effects }
}

/** Nothing new is sent to it; whoever has not heard of that is still answered. */
export function linger(state: ReplicaMachine, delayMs: number, now: Now): ReplicaStep {
  const timerAtMs = now.monotonicMs + delayMs
  return same({ ...idle(state), stage: 'lingering', aftermath: 'remove', timerAtMs })
}

export function stopContainer(state: ReplicaMachine, aftermath: Aftermath): ReplicaStep {
  const next = {
    ...state,
    stage: 'stopping',
    aftermath,
    ready: false,
    timerAtMs: undefined,
  } as const
  return { state: next, effects: [{ kind: 'stop', graceMs: graceMsOf(state) }] }
}

/** Stopped by hand, and to stay so. */
export function held(state: ReplicaMachine): ReplicaStep {
  const next = { ...idle(state), stage: 'succeeded', startedAtMs: 0 } as const
  return same({ ...next, reason: 'Stopped', message: 'stopped by hand' })
}

export function remove(state: ReplicaMachine): ReplicaStep {
  const next = { ...state, stage: 'removing', ready: false, timerAtMs: undefined } as const
  return { state: next, effects: [{ kind: 'remove' }] }
}

export function removed(state: ReplicaMachine): ReplicaStep {
  return same({ ...idle(state), stage: 'removed', containerLeft: false, startedAtMs: 0 })
}
