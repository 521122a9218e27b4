/**
 * Mass loss: when many nodes vanish together, the trouble is more likely ours (a switch, a router, our own link) than
 * theirs, and replacing all they ran would crowd the few that are left for nothing. Nodes are given up all the same, which
 * is the truth; what is held back is the replacing of their replicas.
 *
 *     calm ──a node is given up while many seem to be going──▶ held ──most are back, or each was let go──▶ calm
 *
 * While it is held, every node that is given up is held for `holdMs` at most, from when it was lost. Until then one after
 * the other is let go at `evictionsPerMinute`, those that have been away longest first; and all that are still away are when
 * most of the others are back and nothing has changed for a while. Those that are silent and not given up yet are not back.
 *
 * Invariants
 *   1. A node is never held for longer than `holdMs`, whatever happens to the others or to us.
 *   2. Nothing is held that was not given up, and nobody but us holds it: what an operator forces happens at once.
 *   3. Fewer than `nodesMin` nodes, or less than `shareMin` of those that were there, are never a mass loss.
 *
 * Pure: times are unix milliseconds, handed in. What it needs after a restart is on the nodes' records.
 */
import { goneTogetherMs, type Census } from './census.ts'

export interface MassLossOptions {
  /** Longest time for which a node's replicas are not replaced. */
  readonly holdMs: number
  /** Nodes let go before that, a minute; 0: none. */
  readonly evictionsPerMinute: number
}

/** A node that was given up and whose replicas are not replaced yet. */
export interface HeldNode {
  readonly nodeId: string
  readonly lostAtMs: number
  readonly heldUntilMs: number
}

export type MassLoss =
  | { readonly kind: 'calm' }
  | {
      readonly kind: 'held'
      readonly sinceMs: number
      /** The most that were away at once. */
      readonly vanished: number
      /** Nodes that were away when it began, and have been ever since. */
      readonly awayBefore: ReadonlySet<string>
      readonly heldCount: number
      /** When a node was last added to those held or taken from them, or silent ones left it open whether most are back. */
      readonly changedAtMs: number
      readonly nextReleaseMs: number
    }

/** Who is away now. */
export interface Absent {
  readonly held: readonly HeldNode[]
  /** When each that was given up and is not back, held or not, was lost; by id. */
  readonly lostAtMs: ReadonlyMap<string, number>
  /** Not given up yet, but silent: a node with a longer limit may vanish with the others and be given up much later. */
  readonly silent: number
}

export interface MassLossStep {
  readonly state: MassLoss
  /** Nodes whose replicas are to be replaced from now on. */
  readonly release: readonly string[]
  readonly word: 'begun' | 'over' | undefined
  /** Look again then; Infinity: only when something changes. */
  readonly wakeAtMs: number
}

const nodesMin = 3
const shareMin = 1 / 3
/** Most are back and nothing has changed for so long: the picture is clear. */
const settledMs = 15_000
const minuteMs = 60_000

export const calm: MassLoss = { kind: 'calm' }

/** Whether so many are going at once that it need not be their fault. */
export function isMassLoss({ present, silent, lost }: Census): boolean {
  const vanished = silent + lost
  return vanished >= nodesMin && vanished >= shareMin * (vanished + present)
}

/** A node is about to be given up. */
export function beginMassLoss(
  before: MassLoss,
  census: Census,
  { lostAtMs }: Pick<Absent, 'lostAtMs'>,
  nowMs: number,
  options: MassLossOptions,
): Pick<MassLossStep, 'state' | 'word'> {
  if (before.kind === 'held' || options.holdMs === 0 || !isMassLoss(census)) {
    return { state: before, word: undefined }
  }
  const counts = {
    vanished: census.silent + census.lost,
    awayBefore: new Set(
      [...lostAtMs.keys()].filter((id) => nowMs - lostAtMs.get(id)! > goneTogetherMs),
    ),
    heldCount: 0,
  }
  return { state: heldSince(nowMs, counts, nowMs, options), word: 'begun' }
}

/** Time has passed, or the nodes that are held are others. */
export function stepMassLoss(
  before: MassLoss,
  absent: Absent,
  nowMs: number,
  options: MassLossOptions,
): MassLossStep {
  const { held } = absent
  const expired = held.filter((node) => node.heldUntilMs <= nowMs).map(({ nodeId }) => nodeId)
  const state = followed(before, absent, nowMs, options)
  if (state.kind === 'calm') return { state, release: [], word: undefined, wakeAtMs: Infinity }
  const settledAtMs = state.changedAtMs + settledMs
  const isSettled = nowMs >= settledAtMs
  if (held.length === 0) {
    if (isSettled) return { state: calm, release: [], word: 'over', wakeAtMs: Infinity }
    return { state, release: [], word: undefined, wakeAtMs: settledAtMs }
  }
  // Those that were let go are away as well.
  const areMostBack = awaySince(state.awayBefore, absent) * 2 < state.vanished
  const untilMs = Math.min(...held.map((node) => node.heldUntilMs))
  if (areMostBack && isSettled)
    return { state, release: idsOf(held), word: undefined, wakeAtMs: untilMs }
  const isTurn = nowMs >= state.nextReleaseMs
  const turn = isTurn ? [longestAway(held).nodeId] : []
  const nextReleaseMs = isTurn ? nowMs + minuteMs / options.evictionsPerMinute : state.nextReleaseMs
  return {
    state: { ...state, nextReleaseMs },
    release: [...new Set([...expired, ...turn])],
    word: undefined,
    wakeAtMs: Math.min(nextReleaseMs, untilMs, areMostBack ? settledAtMs : Infinity),
  }
}

function followed(
  before: MassLoss,
  absent: Absent,
  nowMs: number,
  options: MassLossOptions,
): MassLoss {
  const { held, lostAtMs } = absent
  if (before.kind === 'held') {
    const stillAway = [...before.awayBefore].filter((id) => lostAtMs.has(id))
    const awayBefore = new Set(stillAway)
    const away = awaySince(awayBefore, absent)
    const hasChanged = held.length !== before.heldCount
    const vanished = hasChanged ? Math.max(before.vanished, away) : before.vanished
    const isOpen = away * 2 < vanished && (away + absent.silent) * 2 >= vanished
    const isUnclear = hasChanged || (isOpen && held.length > 0)
    const changedAtMs = isUnclear ? nowMs : before.changedAtMs
    return { ...before, awayBefore, vanished, heldCount: held.length, changedAtMs }
  }
  // After our own restart in the middle of it.
  if (held.length === 0) return before
  const sinceMs = Math.min(...held.map((node) => node.lostAtMs))
  const heldIds = new Set(idsOf(held))
  const awayBefore = new Set([...lostAtMs.keys()].filter((id) => !heldIds.has(id)))
  const counts = { vanished: held.length, awayBefore, heldCount: held.length }
  return heldSince(sinceMs, counts, nowMs, options)
}

/** All that are gone because of this: also those that are not held any longer. */
function awaySince(awayBefore: ReadonlySet<string>, { lostAtMs }: Absent): number {
  let count = 0
  for (const id of lostAtMs.keys()) if (!awayBefore.has(id)) count++
  return count
}

function heldSince(
  sinceMs: number,
  counts: Pick<Extract<MassLoss, { kind: 'held' }>, 'vanished' | 'awayBefore' | 'heldCount'>,
  nowMs: number,
  { evictionsPerMinute }: MassLossOptions,
): MassLoss {
  const nextReleaseMs = nowMs + minuteMs / evictionsPerMinute
  return { kind: 'held', sinceMs, ...counts, changedAtMs: nowMs, nextReleaseMs }
}

function longestAway(held: readonly HeldNode[]): HeldNode {
  return held.reduce((a, b) => {
    const isLonger = b.lostAtMs - a.lostAtMs || (b.nodeId < a.nodeId ? -1 : 1)
    return isLonger < 0 ? b : a
  })
}

function idsOf(held: readonly HeldNode[]): string[] {
  return held.map(({ nodeId }) => nodeId)
}
