/**
 * Replicas that nothing could take, and what may help them.
 *
 * They wait by kind: what refused one refuses its likes. A change wakes a kind only if it can help: a node that is new,
 * different or less full, and would take it; for those refused because of what runs elsewhere, any replica that moves.
 * A kind that is woken in vain again and again is woken ever more seldom.
 */
import { couldTake, type ClusterTable, type ReplicaKind } from '@cloudless/scheduler'
import type { ViewChange } from './scheduler-view.ts'

export interface Refused {
  readonly id: string
  readonly kind: ReplicaKind
  /** Names of the filters that refused. */
  readonly filters: readonly string[]
}

interface Waiting {
  readonly ids: Set<string>
  /** Refused because of what runs elsewhere. */
  dependsOnReplicas: boolean
  /** Batches in a row in which nothing took one. */
  failures: number
  /** Not before this, monotonic milliseconds. */
  nextTryMs: number
}

const filtersOfReplicas = ['affinity', 'anti-affinity', 'topology-spread', 'excluded']
/** More questions than this cost more than the tries they would save. */
const questionsMax = 20_000

const delayMsMin = 100
const delayMsMax = 10_000

export class WaitingReplicas {
  readonly #byKind = new Map<ReplicaKind, Waiting>()
  readonly #kindById = new Map<string, ReplicaKind>()

  get size(): number {
    return this.#kindById.size
  }

  /** Those of one batch. */
  add(refused: readonly Refused[], nowMs: number): void {
    const failed = new Set<Waiting>()
    for (const { id, kind, filters } of refused) {
      let waiting = this.#byKind.get(kind)
      if (waiting === undefined) {
        waiting = { ids: new Set(), dependsOnReplicas: false, failures: 0, nextTryMs: 0 }
        this.#byKind.set(kind, waiting)
      }
      waiting.ids.add(id)
      waiting.dependsOnReplicas ||= filters.some((name) => filtersOfReplicas.includes(name))
      this.#kindById.set(id, kind)
      failed.add(waiting)
    }
    for (const waiting of failed) {
      waiting.failures++
      // The first change that helps is taken up at once.
      const doublings = waiting.failures - 2
      const delayMs = doublings < 0 ? 0 : Math.min(delayMsMax, delayMsMin * 2 ** doublings)
      waiting.nextTryMs = nowMs + delayMs
    }
  }

  /** It is placed, or not wanted any more: others of its kind may be tried at once. */
  remove(id: string): void {
    const kind = this.#kindById.get(id)
    if (kind === undefined) return
    this.#kindById.delete(id)
    const waiting = this.#byKind.get(kind)!
    waiting.ids.delete(id)
    if (waiting.ids.size === 0) this.#byKind.delete(kind)
  }

  has(id: string): boolean {
    return this.#kindById.has(id)
  }

  /** Kinds that the change may help. */
  helpedBy(change: ViewChange, table: ClusterTable): readonly ReplicaKind[] {
    const { nodeIds, everything } = change
    const isMuch = nodeIds.size * this.#byKind.size > questionsMax
    if (everything || isMuch) return [...this.#byKind.keys()]
    const helped: ReplicaKind[] = []
    for (const [kind, waiting] of this.#byKind) {
      if (change.replicasMoved && waiting.dependsOnReplicas) helped.push(kind)
      else if (change.images.has(kind.image)) helped.push(kind)
      else if (anyCouldTake(table, kind, nodeIds)) helped.push(kind)
    }
    return helped
  }

  /** Those of the kind when it is time to try it again, otherwise how many milliseconds are left. They stay until removed. */
  wake(kind: ReplicaKind, nowMs: number): readonly string[] | number {
    const waiting = this.#byKind.get(kind)
    if (waiting === undefined) return []
    if (nowMs < waiting.nextTryMs) return waiting.nextTryMs - nowMs
    return [...waiting.ids]
  }

  ids(): Iterable<string> {
    return this.#kindById.keys()
  }
}

function anyCouldTake(
  table: ClusterTable,
  kind: ReplicaKind,
  nodeIds: ReadonlySet<string>,
): boolean {
  for (const nodeId of nodeIds) if (couldTake(table, kind, nodeId)) return true
  return false
}
