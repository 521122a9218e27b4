/**
 * How often a leader says that it is there, and how long the others wait before they elect another. Pure.
 *
 * The heartbeat follows the round trip between the members, which is about the same for all of them. The election
 * timeout also follows the disk: what a leader says waits behind what it writes. A member whose disk is slow so waits
 * longer itself, and does not beat too slowly for the others. Both are taken from a few steps, so that members that
 * measure nearly the same agree.
 */

export interface EtcdTimers {
  readonly heartbeatMs: number
  readonly electionMs: number
}

export interface MeasuredDelays {
  /** Of nearly every sync of a small write. */
  readonly fsyncMs: number
  /** To the farthest member that answers; 0 for one that is alone. */
  readonly roundTripMs: number
}

/**
 * The first steps are what a member costs at rest: 2 % of a core with them, 5 % with a fifth of them (decision 0020). Who only
 * loses its coordinator, and not its member, waits for no election.
 */
const heartbeatStepsMs = [100, 200, 500, 1_000]
const electionStepsMs = [500, 1_000, 2_000, 5_000, 10_000]
/** Heartbeats that may be lost or late before there is an election. As few as etcd permits. */
const heartbeatsPerElection = 5
/** What an election timeout has of round trips at least. */
const roundTripsPerElection = 10
/** Syncs that must fit into an election timeout: now and then one takes several times as long as the others. */
const syncsPerElection = 15

export const widestTimers: EtcdTimers = {
  heartbeatMs: heartbeatStepsMs.at(-1)!,
  electionMs: electionStepsMs.at(-1)!,
}

export function timersFor({ fsyncMs, roundTripMs }: MeasuredDelays): EtcdTimers {
  const heartbeatMs = stepFor(heartbeatStepsMs, roundTripMs)
  const neededMs = Math.max(
    heartbeatsPerElection * heartbeatMs,
    syncsPerElection * fsyncMs + roundTripsPerElection * roundTripMs,
  )
  return { heartbeatMs, electionMs: stepFor(electionStepsMs, neededMs) }
}

/** Undefined when they are as wide as they may be. */
export function widerTimers(timers: EtcdTimers): EtcdTimers | undefined {
  const wider = {
    heartbeatMs: Math.min(2 * timers.heartbeatMs, widestTimers.heartbeatMs),
    electionMs: Math.min(2 * timers.electionMs, widestTimers.electionMs),
  }
  return wider.electionMs === timers.electionMs && wider.heartbeatMs === timers.heartbeatMs
    ? undefined
    : wider
}

/** Of each the wider, so that all that was asked for holds. */
export function widestOf(...all: readonly EtcdTimers[]): EtcdTimers {
  const heartbeatMs = Math.max(...all.map((timers) => timers.heartbeatMs))
  const electionMs = Math.max(...all.map((timers) => timers.electionMs))
  return { heartbeatMs, electionMs: Math.max(electionMs, heartbeatsPerElection * heartbeatMs) }
}

function stepFor(steps: readonly number[], neededMs: number): number {
  return steps.find((step) => step >= neededMs) ?? steps.at(-1)!
}
