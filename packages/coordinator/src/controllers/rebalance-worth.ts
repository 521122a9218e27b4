/**
 * Whether a replica is clearly better off on another node. Pure.
 *
 * A move is worth making when it evens out, in this order of importance, the workload's replicas over its places (zones,
 * or what its placement spreads it over), then over nodes, then the nodes' load; and makes nothing more important worse.
 *
 * Invariant: each such move makes the triple (unevenness over places, over nodes, loads from the highest down) smaller in
 * the order of a dictionary. There are finitely many ways to place what there is, so moving ends, and what has ended is
 * at rest: nothing is ever moved back.
 */

/** A node, as far as it matters here. Its load is what is reserved of it, 0 to 1 or more, of CPU or memory, the greater. */
export interface Seat {
  readonly nodeId: string
  readonly place: string
  readonly load: number
}

/** Replicas of the workload that are to stay, by node and by place. */
export interface Crowd {
  readonly onNode: ReadonlyMap<string, number>
  readonly inPlace: ReadonlyMap<string, number>
}

/** What the two loads would be. */
export interface Move {
  readonly from: Seat
  readonly to: Seat
  readonly fromLoadAfter: number
  readonly toLoadAfter: number
}

/** Of a whole node: by so much the one must stay less loaded than the other was. */
export const loadMargin = 0.2
/** With a difference of one, a move only changes who is the fuller. */
const countMargin = 2

export function isWorthMoving(crowd: Crowd, move: Move): boolean {
  const { from, to } = move
  if (from.nodeId === to.nodeId) return false
  if (from.place !== to.place) {
    const byPlace = countOf(crowd.inPlace, from.place) - countOf(crowd.inPlace, to.place)
    if (byPlace >= countMargin) return true
    if (byPlace < 1) return false
  }
  const byNode = countOf(crowd.onNode, from.nodeId) - countOf(crowd.onNode, to.nodeId)
  if (byNode >= countMargin) return true
  if (byNode < 1) return false
  return move.fromLoadAfter < from.load && move.toLoadAfter <= from.load - loadMargin
}

export function countOf(counts: ReadonlyMap<string, number>, key: string): number {
  return counts.get(key) ?? 0
}
