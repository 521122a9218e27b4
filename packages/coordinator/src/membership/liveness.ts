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
 * A reset connection says that the agent's process or machine ended: it is given `resetGraceMs` to return, more when its
 * link is known to flap. Silence says less: it is measured against what the node's own record of lateness makes credible
 * (`arrivals.ts`), so that a phone on a bad link is not declared dead every minute and a server is within a second or so.
 *
 * Pure: times are handed in, milliseconds of a clock that stands still while we cannot listen. What is known of our own
 * lateness comes as a margin and is added to every limit.
 */
import { silenceLimitMs as limitOfArrivals, suspicionOf } from './arrivals.ts'
import { asked, beaten, habitsOfNewcomer, resetGraceMs, returned, type Habits } from './habits.ts'

export interface LivenessOptions {
  /** Asked of every agent while there are few. */
  readonly heartbeatIntervalMs: number
  /** Silence beyond this is a loss, for a node that has long been on time. */
  readonly heartbeatTimeoutMs: number
  /** The widest the limit grows for a node that is often late. */
  readonly heartbeatTimeoutMsMax: number
  /** After a reset connection. */
  readonly resetGraceMs: number
  /** The widest that grace grows for a node whose link flaps. */
  readonly resetGraceMsMax: number
  /** After our own start, for nodes that were ready before it. */
  readonly returnGraceMs: number
}

export const livenessDefaults: LivenessOptions = {
  heartbeatIntervalMs: 500,
  heartbeatTimeoutMs: 1_300,
  heartbeatTimeoutMsMax: 60_000,
  resetGraceMs: 300,
  resetGraceMsMax: 5_000,
  returnGraceMs: 15_000,
}

export type Liveness =
  | {
      readonly kind: 'connected'
      readonly heardAtMs: number
      /** When the heartbeat before was counted, if there was one in this session, and the longest silence since. */
      readonly beatAtMs: number | undefined
      readonly gapMs: number
      /** It has been told to send heartbeats; until then its silence is ours. */
      readonly isWelcomed: boolean
      readonly habits: Habits
    }
  | {
      readonly kind: 'reset'
      readonly resetAtMs: number
      readonly deadlineMs: number
      readonly habits: Habits
    }
  | { readonly kind: 'leaving'; readonly deadlineMs: number; readonly habits: Habits }
  | { readonly kind: 'absent'; readonly deadlineMs: number; readonly habits: Habits }
  | {
      readonly kind: 'lost'
      readonly cause: LossCause
      readonly lostAtMs: number
      /** Of cause "reset". */
      readonly resetAtMs?: number
      readonly habits: Habits
    }

export type LossCause = 'silence' | 'reset' | 'goodbye' | 'absence'

export type LivenessEvent =
  /** `isSameAgent`: it goes on, and only its connection was another's before. */
  | { readonly kind: 'session'; readonly isSameAgent: boolean }
  /** It was told how often to send heartbeats, with the welcome or an answer. */
  | { readonly kind: 'asked'; readonly intervalMs: number }
  | { readonly kind: 'heard' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'goodbye'; readonly expectedBackMs: number }
  /** `marginMs`: how late we may be ourselves. */
  | { readonly kind: 'tick'; readonly marginMs: number }

/** A member that was known to be gone. */
export function longLost(options: LivenessOptions): Liveness {
  const habits = habitsOfNewcomer(options.heartbeatIntervalMs)
  return { kind: 'lost', cause: 'absence', lostAtMs: Number.NEGATIVE_INFINITY, habits }
}

/** A member that was there before we started. */
export function awaited(nowMs: number, options: LivenessOptions): Liveness {
  const habits = habitsOfNewcomer(options.heartbeatIntervalMs)
  return { kind: 'absent', deadlineMs: nowMs + options.returnGraceMs, habits }
}

export function stepLiveness(
  state: Liveness,
  event: LivenessEvent,
  nowMs: number,
  options: LivenessOptions,
): Liveness {
  const { habits } = state
  switch (event.kind) {
    case 'session':
      return {
        kind: 'connected',
        ...{ heardAtMs: nowMs, beatAtMs: undefined, gapMs: 0, isWelcomed: false },
        habits: event.isSameAgent ? habitsAfterReturn(state, nowMs, options) : habits,
      }
    case 'asked':
      return wasAsked(state, event.intervalMs, nowMs)
    case 'heard':
      return heard(state, nowMs)
    case 'reset': {
      if (state.kind !== 'connected') return state
      const deadlineMs = nowMs + resetGraceMs(habits, nowMs, options)
      return { kind: 'reset', resetAtMs: nowMs, deadlineMs, habits }
    }
    case 'goodbye': {
      const deadlineMs = nowMs + Math.min(event.expectedBackMs, leaveMsMax)
      return { kind: 'leaving', deadlineMs, habits }
    }
    case 'tick':
      return nowMs - event.marginMs < dueMs(state, options) ? state : given(state, nowMs)
  }
}

/** How long this node may be silent. */
export function silenceLimitMs({ arrivals, intervalMs }: Habits, options: LivenessOptions): number {
  return limitOfArrivals(arrivals, intervalMs, options)
}

/** When it is given up if nothing is heard of it; Infinity for one that is. */
export function dueMs(state: Liveness, options: LivenessOptions): number {
  if (state.kind === 'lost') return Number.POSITIVE_INFINITY
  if (state.kind !== 'connected') return state.deadlineMs
  const limitMs = state.isWelcomed
    ? silenceLimitMs(state.habits, options)
    : Math.max(options.heartbeatTimeoutMsMax, silenceLimitMs(state.habits, options))
  return state.heardAtMs + limitMs + pastMs
}

/** How suspicious its silence is now; 0 of one that is not silent, and of one that has been given up. */
export function suspicionNow(state: Liveness, nowMs: number): number {
  if (state.kind !== 'connected' || !state.isWelcomed) return 0
  const { arrivals, intervalMs } = state.habits
  return suspicionOf(arrivals, nowMs - state.heardAtMs, intervalMs)
}

/** Silence up to the limit is borne. */
const pastMs = 1
/** Whatever an agent says of when it will be back. */
const leaveMsMax = 600_000

/** What its link does is learnt; one whose agent was killed and started anew says nothing of the next time. */
function habitsAfterReturn(state: Liveness, nowMs: number, options: LivenessOptions): Habits {
  if (!('resetAtMs' in state) || state.resetAtMs === undefined) return state.habits
  return returned(state.habits, nowMs - state.resetAtMs, nowMs, options)
}

function wasAsked(state: Liveness, intervalMs: number, nowMs: number): Liveness {
  const habits = asked(state.habits, intervalMs)
  if (state.kind !== 'connected') return state
  if (state.isWelcomed) return habits === state.habits ? state : { ...state, habits }
  return { ...state, habits, isWelcomed: true, heardAtMs: nowMs }
}

function heard(state: Liveness, nowMs: number): Liveness {
  if (state.kind !== 'connected') return state
  // The first comes when the agent is ready, not when it is due: it teaches nothing.
  if (state.beatAtMs === undefined) return { ...state, heardAtMs: nowMs, beatAtMs: nowMs }
  const gapMs = Math.max(state.gapMs, nowMs - state.heardAtMs)
  // Reports come between heartbeats, and what waited behind a lost packet comes at once: one silence, one lesson.
  const isBeat = nowMs - state.beatAtMs >= state.habits.intervalMs / 2
  if (!isBeat) return { ...state, heardAtMs: nowMs, gapMs }
  const habits = beaten(state.habits, gapMs)
  return { ...state, heardAtMs: nowMs, beatAtMs: nowMs, gapMs: 0, habits }
}

function given(state: Liveness, nowMs: number): Liveness {
  const { kind, habits } = state
  switch (kind) {
    case 'lost':
      return state
    case 'connected':
      return { kind: 'lost', cause: 'silence', lostAtMs: nowMs, habits }
    case 'reset':
      return { kind: 'lost', cause: 'reset', lostAtMs: nowMs, resetAtMs: state.resetAtMs, habits }
    case 'leaving':
      return { kind: 'lost', cause: 'goodbye', lostAtMs: nowMs, habits }
    case 'absent':
      return { kind: 'lost', cause: 'absence', lostAtMs: nowMs, habits }
  }
}
