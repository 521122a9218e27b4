/**
 * Whether a cluster elects so often that its timers are too tight for it. Pure.
 *
 * An election is explained when the leader before it is not there any more: it was ended, or removed. A leader that is
 * there and yet was not heard in time is what wider timers help against.
 */

export interface Election {
  /** Monotonic milliseconds. */
  readonly atMs: number
}

export interface ElectionsSeen {
  readonly nowMs: number
  /** As of the last look; undefined after a start of our own. */
  readonly previousTerm: number | undefined
  readonly term: number
  /** The leader before is still a member, and its port answers. */
  readonly isFormerLeaderThere: boolean
}

export const electionsWindowMs = 10 * 60_000
const unexplainedMax = 3

/** What is remembered after a look, the oldest first; never more than is needed to decide. */
export function rememberElections(
  remembered: readonly Election[],
  { nowMs, previousTerm, term, isFormerLeaderThere }: ElectionsSeen,
): readonly Election[] {
  const recent = remembered.filter(({ atMs }) => nowMs - atMs < electionsWindowMs)
  const elections = previousTerm === undefined ? 0 : Math.max(0, term - previousTerm)
  if (elections === 0 || !isFormerLeaderThere) return recent
  const counted = Math.min(elections, unexplainedMax + 1)
  return [...recent, ...Array.from({ length: counted }, () => ({ atMs: nowMs }))].slice(
    -(unexplainedMax + 1),
  )
}

export function isTooTight(remembered: readonly Election[]): boolean {
  return remembered.length > unexplainedMax
}
