/**
 * Failure detection: which nodes are alive, by what was heard of them and when.
 *
 *     absent ──session──▶ connected ──reset──▶ reset ──grace over──▶ lost
 *        │                   │  ▲                │                    │
 *        │                silence limit   new session             new session
 *        │                   └──▶ lost ──────────┴────────▶ connected ◀┘
 *        └── not back after our own restart ──▶ lost
 *        connected ──goodbye──▶ leaving ──not back in time──▶ lost
 *
 * A reset connection says that the agent's process or machine ended: it is given `resetGraceMs` to return. Silence says
 * less: it is measured against a limit that widens with the node's own record of lateness, so that a phone on a bad
 * link is not declared dead every minute, and by however late we ourselves were in looking.
 *
 * Pure: times are handed in, monotonic milliseconds.
 */

export interface LivenessOptions {
  readonly heartbeatIntervalMs: number
  /** Silence beyond this is a loss, for a node that is always on time. */
  readonly heartbeatTimeoutMs: number
  /** The widest the limit grows for a node that is often late. */
  readonly heartbeatTimeoutMsMax: number
  /** After a reset connection. */
  readonly resetGraceMs: number
  /** After our own start, for nodes that were ready before it. */
  readonly returnGraceMs: number
}

export const livenessDefaults: LivenessOptions = {
  heartbeatIntervalMs: 1_000,
  heartbeatTimeoutMs: 1_600,
  heartbeatTimeoutMsMax: 15_000,
  resetGraceMs: 300,
  returnGraceMs: 15_000,
}

export type Liveness =
  | { readonly kind: 'connected'; readonly heardAtMs: number; readonly lateness: Lateness }
  | { readonly kind: 'reset'; readonly deadlineMs: number; readonly lateness: Lateness }
  | { readonly kind: 'leaving'; readonly deadlineMs: number; readonly lateness: Lateness }
  | { readonly kind: 'absent'; readonly deadlineMs: number; readonly lateness: Lateness }
  | { readonly kind: 'lost'; readonly cause: LossCause; readonly lateness: Lateness }

export type LossCause = 'silence' | 'reset' | 'goodbye' | 'absence'

/** Exponentially weighted mean and mean deviation of how late heartbeats come, milliseconds. */
export interface Lateness {
  readonly meanMs: number
  readonly deviationMs: number
}

export const onTime: Lateness = { meanMs: 0, deviationMs: 0 }

export type LivenessEvent =
  | { readonly kind: 'session' }
  | { readonly kind: 'heard' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'goodbye'; readonly expectedBackMs: number }
  /** `overdueMs`: how much later than planned we look; our own lateness is not the node's. */
  | { readonly kind: 'tick'; readonly overdueMs: number }

export function stepLiveness(
  state: Liveness,
  event: LivenessEvent,
  nowMs: number,
  options: LivenessOptions,
): Liveness {
  const { lateness } = state
  switch (event.kind) {
    case 'session':
      return { kind: 'connected', heardAtMs: nowMs, lateness }
    case 'heard':
      return heard(state, nowMs, options)
    case 'reset':
      return state.kind === 'connected'
        ? { kind: 'reset', deadlineMs: nowMs + options.resetGraceMs, lateness }
        : state
    case 'goodbye':
      return {
        kind: 'leaving',
        deadlineMs: nowMs + Math.min(event.expectedBackMs, leaveMsMax),
        lateness,
      }
    case 'tick':
      return ticked(state, event.overdueMs, nowMs, options)
  }
}

/** How long this node may be silent. */
export function silenceLimitMs(lateness: Lateness, options: LivenessOptions): number {
  const usual = options.heartbeatIntervalMs + lateness.meanMs + 6 * lateness.deviationMs
  return Math.min(Math.max(options.heartbeatTimeoutMs, usual), options.heartbeatTimeoutMsMax)
}

const meanWeight = 1 / 16
/** Whatever an agent says of when it will be back. */
const leaveMsMax = 600_000

function heard(state: Liveness, nowMs: number, options: LivenessOptions): Liveness {
  if (state.kind !== 'connected') return state
  const gapMs = nowMs - state.heardAtMs
  // Reports come between heartbeats: a short gap says nothing about lateness.
  if (gapMs < options.heartbeatIntervalMs / 2) {
    return { ...state, heardAtMs: nowMs }
  }
  const lateMs = Math.max(0, gapMs - options.heartbeatIntervalMs)
  const meanMs = state.lateness.meanMs + meanWeight * (lateMs - state.lateness.meanMs)
  const deviationMs =
    state.lateness.deviationMs +
    meanWeight * (Math.abs(lateMs - meanMs) - state.lateness.deviationMs)
  return { kind: 'connected', heardAtMs: nowMs, lateness: { meanMs, deviationMs } }
}

function ticked(
  state: Liveness,
  overdueMs: number,
  nowMs: number,
  options: LivenessOptions,
): Liveness {
  const { lateness } = state
  switch (state.kind) {
    case 'lost':
      return state
    case 'connected': {
      // Time in which we could not listen is no silence, now or at the next look.
      const heardAtMs = Math.min(nowMs, state.heardAtMs + overdueMs)
      return nowMs - heardAtMs > silenceLimitMs(lateness, options)
        ? { kind: 'lost', cause: 'silence', lateness }
        : { ...state, heardAtMs }
    }
    default: {
      const deadlineMs = state.deadlineMs + overdueMs
      return nowMs < deadlineMs
        ? { ...state, deadlineMs }
        : { kind: 'lost', cause: causeOf(state.kind), lateness }
    }
  }
}

function causeOf(kind: 'reset' | 'leaving' | 'absent'): LossCause {
  return ({ reset: 'reset', leaving: 'goodbye', absent: 'absence' } as const)[kind]
}

/** When something can change by itself next; undefined for a node that is lost. */
export function nextDeadlineMs(state: Liveness, options: LivenessOptions): number | undefined {
  if (state.kind === 'lost') return undefined
  if (state.kind === 'connected') return state.heardAtMs + silenceLimitMs(state.lateness, options)
  return state.deadlineMs
}
