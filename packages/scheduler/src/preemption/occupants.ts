/** What is on each node, alike by alike: kept from one plan to the next, and looked at again where something changed. */
import type { Holding, ReplicaKind } from '../model.ts'
import type { ClusterTable } from '../table/cluster-table.ts'

/** Replicas of one kind on one node that are doing the same. */
export interface OccupantGroup {
  readonly kind: ReplicaKind
  readonly holding: Holding
  readonly size: number
  /** The first of their ids in order: ties between groups are broken by it, whatever the history of the table. */
  readonly firstId: string
}

const none: readonly OccupantGroup[] = []

export class Occupants {
  readonly #table: ClusterTable
  readonly #byRow: (readonly OccupantGroup[] | undefined)[] = []
  #position = 0

  constructor(table: ClusterTable) {
    this.#table = table
  }

  /** To be called before rows are asked for when the table may have changed. */
  refresh(): void {
    const { journal } = this.#table
    if (journal.position === this.#position) return
    const forget = (row: number): void => void (this.#byRow[row] = undefined)
    if (!journal.since(this.#position, forget)) this.#byRow.length = 0
    this.#position = journal.position
  }

  /** Lowest priority first. */
  at(row: number): readonly OccupantGroup[] {
    return (this.#byRow[row] ??= this.#look(row))
  }

  #look(row: number): readonly OccupantGroup[] {
    const node = this.#table.nodeAt(row)
    if (node === undefined) return none
    const groups = new Map<
      ReplicaKind,
      { -readonly [K in keyof OccupantGroup]: OccupantGroup[K] }[]
    >()
    for (const { id, kind, holding } of this.#table.replicasOn(node.id)) {
      let ofKind = groups.get(kind)
      if (ofKind === undefined) groups.set(kind, (ofKind = []))
      const group = ofKind.find((one) => one.holding === holding)
      if (group === undefined) ofKind.push({ kind, holding, size: 1, firstId: id })
      else {
        group.size++
        if (id < group.firstId) group.firstId = id
      }
    }
    return [...groups.values()]
      .flat()
      .sort((a, b) => a.kind.priority - b.kind.priority || (a.firstId < b.firstId ? -1 : 1))
  }
}
