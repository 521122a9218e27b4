/**
 * How the signs of life of one node come, and how long a silence it may have before it is given up.
 *
 * Heartbeats ride TCP. One that is lost is not missing, it is late: it is sent again after the link's retransmission
 * timeout, and if that is lost too after twice as long, and so on, while all that follows waits behind it. So what comes
 * late on a bad link is late by `recovery · (2^k - 1)` where k sendings were lost in a row, which happens with probability
 * `loss^k`: a tail far heavier than any mean and deviation would tell. What is learnt is therefore those two numbers, the
 * share of sendings that are lost and what one loss costs, and beside them how much promptness varies without losses. A
 * node is given up when its silence means so many losses in a row that they are not to be believed:
 *
 *     suspicion (phi) = -log10 of how probable a silence as long is of a node that is there
 *     limit           = interval + jitter + recovery · (2^k - 1), k = suspicionMax / -log10(loss)
 *
 * Loss is estimated by the rule of succession: who has not been heard for long has the benefit of the doubt, which fades
 * as heartbeats come on time, and fades slowly where their delays vary, as those of radio links do.
 *
 * Pure. Durations are milliseconds.
 */

/** Older heartbeats count less: what is summed is that of about the last `memoryMs`. */
export interface Arrivals {
  /** Heartbeats that came. */
  readonly count: number
  /** Of these, those so late that they must have been sent again. */
  readonly losses: number
  /** Mean lateness of the others, and its mean deviation. */
  readonly lateMs: number
  readonly deviationMs: number
  /** How late those are that were sent again: a geometric mean. */
  readonly recoveryMs: number
  /** The worst lateness it has come back from, fading. */
  readonly worstMs: number
}

export interface SilenceBounds {
  /** The limit of a node that has long been on time. */
  readonly heartbeatTimeoutMs: number
  /** The widest that the limit grows. */
  readonly heartbeatTimeoutMsMax: number
}

/** TCP sends again no sooner than this. */
const recoveryMsMin = 200
const recoveryMsMax = 3_000
/** Of nothing heard yet. */
export const unheard: Arrivals = {
  count: 0,
  losses: 0,
  lateMs: 0,
  deviationMs: 0,
  recoveryMs: recoveryMsMin,
  worstMs: 0,
}

const memoryMs = 500_000
/** One bad moment is forgiven sooner. */
const worstMemoryMs = 120_000
const meanWeight = 1 / 16
const recoveryWeight = 1 / 8
const strayFactor = 1.2
/** Any machine may be late by this much for reasons of its own. */
const jitterMsMin = 100
/** Losses presumed of a node before there were any; and more of one whose delays vary as much as a radio link's. */
const presumedLosses = 0.1
const presumedRadioLosses = 2
const radioDeviationMs = 50
const lossShareMax = 0.5
/** Suspicion at which a node is given up: one false verdict in ten million heartbeats. */
const suspicionMax = 7
/** What it has come back from before it is given again, with something to spare. */
const worstFactor = 1.25

/** A sign of life came after a silence of `gapMs`. */
export function arrived(before: Arrivals, gapMs: number, intervalMs: number): Arrivals {
  const lateMs = Math.max(0, gapMs - intervalMs)
  const isLoss = lateMs > jitterMs(before)
  const fade = Math.exp(-intervalMs / memoryMs)
  const weight = Math.max(meanWeight, 1 / (before.count + 1))
  // What was sent again says little of the others: it counts for little more than the latest of them.
  const promptMs = Math.min(lateMs, strayFactor * jitterMs(before))
  const meanMs = before.lateMs + weight * (promptMs - before.lateMs)
  const strayMs = Math.abs(promptMs - meanMs)
  return {
    count: before.count * fade + 1,
    losses: before.losses * fade + (isLoss ? 1 : 0),
    lateMs: meanMs,
    deviationMs: before.deviationMs + weight * (strayMs - before.deviationMs),
    recoveryMs: isLoss ? recoveryAfter(before, lateMs) : forgotten(before.recoveryMs, fade),
    worstMs: Math.max(lateMs, before.worstMs * Math.exp(-intervalMs / worstMemoryMs)),
  }
}

/** Without losses nothing is known of it any more in the end. */
function forgotten(recoveryMs: number, fade: number): number {
  return recoveryMsMin + (recoveryMs - recoveryMsMin) * fade
}

function recoveryAfter({ losses, recoveryMs }: Arrivals, lateMs: number): number {
  const weight = Math.max(recoveryWeight, 1 / (losses + 4))
  const mean = Math.log(recoveryMs) + weight * (Math.log(lateMs) - Math.log(recoveryMs))
  return Math.min(Math.max(Math.exp(mean), recoveryMsMin), recoveryMsMax)
}

/** How long it may be silent. */
export function silenceLimitMs(
  arrivals: Arrivals,
  intervalMs: number,
  bounds: SilenceBounds,
): number {
  const lossesInARow = suspicionMax / suspicionOfOneLoss(arrivals)
  const usualMs = intervalMs + jitterMs(arrivals)
  const limitMs = Math.max(
    usualMs + recoveryMsOf(arrivals) * (2 ** lossesInARow - 1),
    intervalMs + worstFactor * arrivals.worstMs,
    bounds.heartbeatTimeoutMs,
  )
  return Math.min(limitMs, Math.max(bounds.heartbeatTimeoutMsMax, usualMs))
}

/** How suspicious a silence is: -log10 of how probable as long a one is of a node that is there. */
export function suspicionOf(arrivals: Arrivals, silentMs: number, intervalMs: number): number {
  const lateMs = silentMs - intervalMs - jitterMs(arrivals)
  if (lateMs <= 0) return 0
  return Math.log2(1 + lateMs / recoveryMsOf(arrivals)) * suspicionOfOneLoss(arrivals)
}

function suspicionOfOneLoss({ count, losses, deviationMs }: Arrivals): number {
  const radio = Math.min(1, deviationMs / radioDeviationMs)
  const presumed = presumedLosses + presumedRadioLosses * radio
  return -Math.log10(Math.min(lossShareMax, (losses + presumed) / (count + 1)))
}

/** How late a heartbeat may be that was not lost on its way. */
function jitterMs(arrivals: Arrivals): number {
  return Math.max(jitterMsMin, varianceMs(arrivals))
}

function recoveryMsOf(arrivals: Arrivals): number {
  return Math.max(arrivals.recoveryMs, recoveryMsMin + varianceMs(arrivals))
}

function varianceMs({ lateMs, deviationMs }: Arrivals): number {
  return lateMs + 4 * deviationMs
}
