/**
 * What would be stopped for replicas of a trial that fit nowhere. Each plan sees those before it: their victims are leaving,
 * and their room is taken. The table is changed meanwhile; `undo` takes that back.
 */
import {
  planPreemption,
  type ClusterTable,
  type PendingReplica,
  type PlacedReplica,
  type Preemption,
  type ScoreWeights,
} from '@cloudless/scheduler'

export interface RoomMakingOptions {
  readonly weights: ScoreWeights
  /** Only what has a priority above this may have others stopped. */
  readonly priorityAbove: number
  /** How many replicas of a workload may be stopped. */
  readonly spareOf: (workloadId: string) => number
}

export class RoomMaking {
  readonly #table: ClusterTable
  readonly #options: RoomMakingOptions
  readonly #takenByWorkload = new Map<string, number>()
  readonly #victims: PlacedReplica[] = []
  readonly #nominatedIds: string[] = []

  constructor(table: ClusterTable, options: RoomMakingOptions) {
    this.#table = table
    this.#options = options
  }

  /** Undefined when nothing may be stopped for it, or would help. */
  roomFor(replica: PendingReplica): Preemption | undefined {
    const { weights, priorityAbove, spareOf } = this.#options
    if (replica.kind.priority <= priorityAbove) return undefined
    const plan = planPreemption(this.#table, replica, {
      weights,
      spareOf: (workloadId) => spareOf(workloadId) - (this.#takenByWorkload.get(workloadId) ?? 0),
    })
    if (plan !== undefined) this.#carryOut(replica, plan)
    return plan
  }

  undo(): void {
    for (const id of this.#nominatedIds) this.#table.removeReplica(id)
    for (const victim of this.#victims) this.#table.putReplica(victim)
  }

  #carryOut({ id, kind }: PendingReplica, { nodeId, victimIds }: Preemption): void {
    for (const victimId of victimIds) {
      const victim = this.#table.replica(victimId)!
      const { workloadId } = victim.kind
      this.#takenByWorkload.set(workloadId, (this.#takenByWorkload.get(workloadId) ?? 0) + 1)
      this.#victims.push(victim)
      this.#table.putReplica({ ...victim, holding: 'leaving' })
    }
    this.#table.putReplica({ id, kind, nodeId, holding: 'nominated' })
    this.#nominatedIds.push(id)
  }
}
