/**
 * What a row of probe results amounts to, and when to probe next. Pure.
 *
 * Until a probe has passed once it is tried on a fast ramp (where the kind allows it), so that ready is seen soon. On the
 * ramp, failures count at most once a period: being asked more often must not make a slow start look like a failure.
 */
import type { HealthCheck } from '@cloudless/api'

export type ProbeKind = 'startup' | 'liveness' | 'readiness'

export interface ProbeSettings {
  readonly initialDelayMs: number
  readonly periodMs: number
  readonly timeoutMs: number
  readonly successThreshold: number
  readonly failureThreshold: number
  /** Liveness has nothing to gain from being asked early. */
  readonly ramp: boolean
}

export interface ProbeState {
  readonly attempts: number
  readonly successesInRow: number
  readonly failuresInRow: number
  readonly passedOnce: boolean
  /** What it counts as now; a startup or readiness probe begins as not passing, liveness as passing. */
  readonly passing: boolean
  /** Monotonic milliseconds of the failure counted last. */
  readonly countedAtMs: number
}

export interface ProbeStep {
  readonly state: ProbeState
  /** Until the next probe, from the end of this one. */
  readonly delayMs: number
  /** The failure threshold was reached by this result: each further multiple of it reaches it again. */
  readonly exhausted: boolean
}

const rampMsMin = 100
const rampFactor = 1.5

/** The contract's defaults filled in. */
export function probeSettings(kind: ProbeKind, check: HealthCheck): ProbeSettings {
  return {
    initialDelayMs: check.initialDelayMs === undefined ? 10_000 : Number(check.initialDelayMs),
    periodMs: Number(check.periodMs) || 10_000,
    timeoutMs: Number(check.timeoutMs) || 3_000,
    successThreshold: check.successThreshold || 1,
    failureThreshold: check.failureThreshold || 3,
    ramp: kind !== 'liveness',
  }
}

export function newProbe(kind: ProbeKind, passedBefore = false): ProbeState {
  return {
    attempts: 0,
    successesInRow: 0,
    failuresInRow: 0,
    passedOnce: passedBefore,
    passing: passedBefore || kind === 'liveness',
    countedAtMs: Number.NEGATIVE_INFINITY,
  }
}

export function stepProbe(
  settings: ProbeSettings,
  state: ProbeState,
  passed: boolean,
  nowMs: number,
): ProbeStep {
  const attempts = state.attempts + 1
  if (passed) {
    const successesInRow = state.successesInRow + 1
    const reached = successesInRow >= settings.successThreshold
    const next = {
      ...state,
      attempts,
      successesInRow,
      failuresInRow: 0,
      passedOnce: state.passedOnce || reached,
      passing: state.passing || reached,
    }
    return { state: next, delayMs: delayMs(settings, next), exhausted: false }
  }
  // A tenth of tolerance: timers and probes take their time too.
  const counts = nowMs - state.countedAtMs >= settings.periodMs * 0.9
  const failuresInRow = state.failuresInRow + (counts ? 1 : 0)
  const exhausted = counts && failuresInRow % settings.failureThreshold === 0
  const next = {
    ...state,
    attempts,
    successesInRow: 0,
    failuresInRow,
    passing: state.passing && failuresInRow < settings.failureThreshold,
    countedAtMs: counts ? nowMs : state.countedAtMs,
  }
  return { state: next, delayMs: delayMs(settings, next), exhausted }
}

function delayMs(settings: ProbeSettings, state: ProbeState): number {
  if (!settings.ramp || state.passedOnce) return settings.periodMs
  return Math.min(settings.periodMs, rampMsMin * rampFactor ** Math.min(state.attempts - 1, 40))
}
