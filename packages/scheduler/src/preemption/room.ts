/**
 * What one kind of replica lacks on each node, and who could give it way there.
 *
 * Room that is coming counts as there: that of replicas which are leaving, and that of nominations of a lower priority,
 * which are overridden. What holds with an equal or higher priority stays.
 */
import type { ReplicaKind, Resources } from '../model.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { resourceNames } from '../table/resource-columns.ts'
import type { OccupantGroup, Occupants } from './occupants.ts'
import { cannotShareNode } from './shunning.ts'
import type { VictimGroup } from './victim-search.ts'

/** What could be done about one node. */
export interface Way {
  /** Lowest priority first; only those that may be stopped. */
  readonly groups: readonly WayGroup[]
  /** By resource the kind asks for: what must come free beside what is coming; 0 or less: nothing. */
  readonly lacking: readonly number[]
  /** Groups whose room is coming. */
  readonly coming: readonly OccupantGroup[]
}

export interface WayGroup extends VictimGroup {
  readonly occupants: OccupantGroup
}

export class Room {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  readonly #occupants: Occupants
  readonly #asked: readonly (keyof Resources)[]
  readonly #occupying = new WeakMap<ReplicaKind, Occupying>()

  constructor(table: ClusterTable, kind: ReplicaKind, occupants: Occupants) {
    this.#table = table
    this.#kind = kind
    this.#occupants = occupants
    this.#asked = resourceNames.filter((name) => kind.requests[name] > 0)
  }

  /** Undefined when what stays holds a host port, or cannot be on a node with it. */
  wayAt(row: number): Way | undefined {
    const { allocatable, reserved } = this.#table.resources
    const { requests, priority } = this.#kind
    const lacking = this.#asked.map(
      (name) => reserved[name][row]! + requests[name] - allocatable[name][row]!,
    )
    const groups: WayGroup[] = []
    const coming: OccupantGroup[] = []
    for (const occupants of this.#occupants.at(row)) {
      const { kind, holding, size } = occupants
      const { frees, wantsPort, isShunned } = this.#occupyingOf(kind)
      if (holding === 'leaving' || (holding === 'nominated' && kind.priority < priority)) {
        for (let at = 0; at < frees.length; at++) lacking[at]! -= size * frees[at]!
        coming.push(occupants)
        continue
      }
      // Only what holds is anybody's neighbour.
      const isMandatory = wantsPort || (isShunned && holding === 'holding')
      if (holding === 'holding' && kind.priority < priority) {
        const { workloadId } = kind
        groups.push({ workloadId, priority: kind.priority, size, frees, isMandatory, occupants })
      } else if (isMandatory) {
        return undefined
      }
    }
    return { groups, lacking, coming }
  }

  #occupyingOf(kind: ReplicaKind): Occupying {
    let occupying = this.#occupying.get(kind)
    if (occupying === undefined) {
      occupying = {
        frees: this.#asked.map((name) => kind.requests[name]),
        wantsPort: this.#kind.hostPorts.some((port) => kind.hostPorts.includes(port)),
        isShunned: cannotShareNode(this.#kind, kind),
      }
      this.#occupying.set(kind, occupying)
    }
    return occupying
  }
}

/** What replicas of a kind mean for the one that needs room. */
interface Occupying {
  readonly frees: readonly number[]
  readonly wantsPort: boolean
  readonly isShunned: boolean
}

/** What is reserved of a resource on the row once the coming room is there and the victims are gone. */
export function reservedAfter(
  { resources }: ClusterTable,
  row: number,
  name: keyof Resources,
  { coming, groups }: Way,
  taken: readonly number[],
): number {
  let left = resources.reserved[name][row]!
  for (const { kind, size } of coming) left -= size * kind.requests[name]
  groups.forEach(({ occupants: { kind } }, n) => (left -= taken[n]! * kind.requests[name]))
  return left
}
