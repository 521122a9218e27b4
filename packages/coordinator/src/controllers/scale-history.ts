/**
 * What was asked for lately, as far as the stabilization windows need it: the most within the one for shrinking, the least
 * within the one for growing. Pure.
 *
 *     most:   6 ─────── 4 ─── 3        each asked for at its time, and nothing higher since
 *             │         │     └ newest
 *             └ leaves the window first: until then nothing shrinks below 6
 *
 * Both lists are short: what is outdone by something newer can never decide again. Times are of the monotonic clock.
 *
 * What outlives this process. A workload nobody remembers anything of has its present number taken as what was asked for
 * now: a restart makes it wait, and never shrink too early. So that restarts do not put off shrinking for ever, a *lull*
 * (nothing as high as the present number was asked for, for a while now) is on record, as two entries: when the last one
 * as high was asked for, and the most since. It is struck off as soon as it ends, so what it says is true as long as it is
 * there, and figures that go up and down around the present number write nothing.
 */
import { create } from '@bufbuild/protobuf'
import { ScaleRecommendationSchema, type ScaleRecommendation } from '@cloudless/api'
import type { Clock } from '@cloudless/base'

export interface ScaleHistory {
  /** Falling numbers, newest last; never empty. */
  readonly most: readonly AskedFor[]
  /** Rising numbers, newest last. */
  readonly least: readonly AskedFor[]
  /** Before this nothing is known of what was asked for. */
  readonly sinceMs: number
  /** When it last grew; undefined: not as far as is known. */
  readonly grownAtMs?: number
}

export interface AskedFor {
  readonly atMs: number
  readonly replicas: number
}

export interface StabilizationWindows {
  readonly upMs: number
  readonly downMs: number
}

/** A lull is put on record after so long; a shorter one is not worth a write. */
export const lullMsMin = 60_000
/** Entries of either list; then the two oldest are taken together, which only makes the window a little longer. */
export const askedForMax = 64

type Now = Pick<Clock, 'monotonicMs' | 'wallMs'>

/** `recorded`: the lull on record, or nothing. */
export function beginHistory(
  recorded: readonly ScaleRecommendation[],
  current: number,
  clock: Now,
): ScaleHistory {
  const nowMs = clock.monotonicMs()
  const [last, since] = recorded
  const most =
    !last || !since
      ? [{ atMs: nowMs, replicas: current }]
      : [
          // A clock that was set back must not put it into the future.
          {
            atMs: nowMs - Math.max(0, clock.wallMs() - Number(last.atMs)),
            replicas: last.replicas,
          },
          // The most since may have been asked for just now.
          { atMs: nowMs, replicas: since.replicas },
        ]
  return { most, least: [], sinceMs: nowMs }
}

export function noteAskedFor(
  history: ScaleHistory,
  replicas: number,
  { upMs, downMs }: StabilizationWindows,
  nowMs: number,
): ScaleHistory {
  const newest = { atMs: nowMs, replicas }
  return {
    ...history,
    most: noted(history.most, newest, downMs, (older) => older > replicas),
    least: noted(history.least, newest, upMs, (older) => older < replicas),
  }
}

function noted(
  list: readonly AskedFor[],
  newest: AskedFor,
  windowMs: number,
  outlasts: (older: number) => boolean,
): AskedFor[] {
  const kept = list.filter(
    ({ atMs, replicas }) => newest.atMs - atMs < windowMs && outlasts(replicas),
  )
  kept.push(newest)
  // The oldest is the one that holds most back: kept until the time of the next.
  if (kept.length > askedForMax) {
    kept.splice(0, 2, { atMs: kept[1]!.atMs, replicas: kept[0]!.replicas })
  }
  return kept
}

/** The number to have, after something was noted: as near to `current` as the windows want it. */
export function stabilized(
  { most, least, sinceMs }: ScaleHistory,
  current: number,
  { upMs }: StabilizationWindows,
  nowMs: number,
): number {
  const isUnknown = nowMs - sinceMs < upMs
  const leastAsked = isUnknown ? Math.min(current, least[0]!.replicas) : least[0]!.replicas
  return Math.min(Math.max(current, leastAsked), most[0]!.replicas)
}

/** The lull there is, to be on record: two entries, or none. */
export function lullOf(
  { most }: ScaleHistory,
  current: number,
  clock: Now,
): readonly ScaleRecommendation[] {
  const nowMs = clock.monotonicMs()
  const last = most.findLast(({ replicas }) => replicas >= current)
  const since = most.find(({ replicas }) => replicas < current)
  if (!last || !since || nowMs - last.atMs < lullMsMin) return []
  return [last, since].map(({ atMs, replicas }) =>
    create(ScaleRecommendationSchema, {
      atMs: BigInt(Math.round(clock.wallMs() - (nowMs - atMs))),
      replicas,
    }),
  )
}

/** Whether the two say the same; times aside, which go along with the numbers. */
export function sameLull(
  a: readonly ScaleRecommendation[],
  b: readonly ScaleRecommendation[],
): boolean {
  return a.length === b.length && a.every(({ replicas }, n) => replicas === b[n]!.replicas)
}
