/**
 * What is learnt of a node and outlives its sessions: how its signs of life come, how often it was asked for them, and how
 * fast it returns when its connection is reset. Pure; durations and times are monotonic milliseconds.
 */
import { arrived, unheard, type Arrivals } from './arrivals.ts'

export interface Habits {
  readonly arrivals: Arrivals
  /** The interval it is judged by. */
  readonly intervalMs: number
  /** It was asked for a shorter one, by which it is judged after so many more heartbeats. */
  readonly shorter?: { readonly intervalMs: number; readonly beatsLeft: number }
  readonly returns: Returns
}

/** Returns after a reset connection, older ones counting less. */
export interface Returns {
  readonly count: number
  /** The longest it took, fading. */
  readonly worstMs: number
  readonly asOfMs: number
}

export interface ResetBounds {
  readonly resetGraceMs: number
  readonly resetGraceMsMax: number
}

/** An agent learns of a shorter interval with an answer, and keeps to it from its next heartbeat on. */
const beatsUntilShorter = 3
const returnsHalfLifeMs = 600_000
/** A link that broke so often lately and came back each time flaps. */
const returnsOfFlapping = 1.5
const returnFactor = 1.5

export function habitsOfNewcomer(intervalMs: number): Habits {
  return { arrivals: unheard, intervalMs, returns: { count: 0, worstMs: 0, asOfMs: 0 } }
}

/** It was asked for a heartbeat every `intervalMs`. */
export function asked(habits: Habits, intervalMs: number): Habits {
  const { shorter, ...rest } = habits
  if (intervalMs === habits.intervalMs && shorter === undefined) return habits
  if (intervalMs >= habits.intervalMs) return { ...rest, intervalMs }
  if (shorter?.intervalMs === intervalMs) return habits
  return { ...rest, shorter: { intervalMs, beatsLeft: beatsUntilShorter } }
}

export function beaten(habits: Habits, gapMs: number): Habits {
  const { shorter, ...rest } = habits
  const arrivals = arrived(habits.arrivals, gapMs, habits.intervalMs)
  if (shorter === undefined) return { ...rest, arrivals }
  const beatsLeft = shorter.beatsLeft - 1
  if (beatsLeft === 0) return { ...rest, arrivals, intervalMs: shorter.intervalMs }
  return { ...rest, arrivals, shorter: { ...shorter, beatsLeft } }
}

/** It came back so long after a reset. What took longer than the widest grace teaches nothing but to grant no more. */
export function returned(
  habits: Habits,
  afterMs: number,
  nowMs: number,
  bounds: ResetBounds,
): Habits {
  if (afterMs > bounds.resetGraceMsMax) return stayedAway(habits, nowMs)
  const { count, worstMs } = fadedTo(habits.returns, nowMs)
  const returns = { count: count + 1, worstMs: Math.max(worstMs, afterMs), asOfMs: nowMs }
  return { ...habits, returns }
}

function stayedAway(habits: Habits, nowMs: number): Habits {
  return { ...habits, returns: { count: 0, worstMs: 0, asOfMs: nowMs } }
}

/** How long it has to return after a reset: little, unless its link flaps. */
export function resetGraceMs(habits: Habits, nowMs: number, bounds: ResetBounds): number {
  const { count, worstMs } = fadedTo(habits.returns, nowMs)
  if (count < returnsOfFlapping) return bounds.resetGraceMs
  const learntMs = Math.min(returnFactor * worstMs, bounds.resetGraceMsMax)
  return Math.max(bounds.resetGraceMs, learntMs)
}

function fadedTo(returns: Returns, nowMs: number): Returns {
  const fade = 0.5 ** ((nowMs - returns.asOfMs) / returnsHalfLifeMs)
  return { count: returns.count * fade, worstMs: returns.worstMs * fade, asOfMs: nowMs }
}
