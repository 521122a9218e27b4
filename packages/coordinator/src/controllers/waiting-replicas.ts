/**
 * Replicas that nothing could take, and what may help them.
 *
 * They wait by kind: what refused one refuses its likes. A change wakes a kind only if it can help: a node that is new,
 * different or less full, and would take it; for those refused because of what runs elsewhere, any replica that moves and any
 * node that is something else.
 * A kind that is woken in vain again and again is woken ever more seldom.
 *
 * Of a kind some are tried first, and more as long as some of those find a place: room for one does not make thousands be
 * looked at.
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
  /** Those that waited longest come first. */
  readonly ids: Set<string>
  /** Woken, and not yet placed or refused. */
  readonly tried: Set<string>
  /** One of those that were woken last found a place. */
  isLucky: boolean
  /** Refused because of what runs elsewhere. */
  dependsOnReplicas: boolean
  /** Times in a row that nothing took one. */
  failures: number
  /** Not before this, monotonic milliseconds. */
  nextTryMs: number
}

const filtersOfReplicas = ['affinity', 'anti-affinity', 'topology-spread', 'excluded']
/** More questions than this, a microsecond each, would hold up everything else; a try costs a hundred times as much. */
const questionsMax = 200_000

/** Of one kind, tried together. */
const triedMax = 256

const delayMsMin = 100
const delayMsMax = 10_000

export class WaitingReplicas {
  readonly #byKind = new Map<ReplicaKind, Waiting>()
  readonly #kindById = new Map<string, ReplicaKind>()
  readonly #lucky = new Set<ReplicaKind>()
  #triedCount = 0

  /** Those that were woken do not count. */
  get size(): number {
    return this.#kindById.size - this.#triedCount
  }

  /** Those of one batch. */
  add(refused: readonly Refused[], nowMs: number): void {
    const failed = new Map<ReplicaKind, Waiting>()
    const inVain = new Set<Waiting>()
    for (const { id, kind, filters } of refused) {
      if (this.#kindById.get(id) !== kind) this.remove(id)
      let waiting = this.#byKind.get(kind)
      if (waiting === undefined) this.#byKind.set(kind, (waiting = nobodyWaits()))
      if (this.#drop(id)) inVain.add(waiting)
      waiting.ids.add(id)
      waiting.dependsOnReplicas ||= filters.some((name) => filtersOfReplicas.includes(name))
      this.#kindById.set(id, kind)
      failed.set(kind, waiting)
    }
    for (const [kind, waiting] of failed) {
      // Those that are refused for the first time say nothing of how seldom to try.
      if (inVain.has(waiting)) backOff(waiting, nowMs)
      this.#noteLuck(kind, waiting)
    }
  }

  /** It is placed, or not wanted any more: others of its kind may be tried at once. */
  remove(id: string): void {
    const kind = this.#kindById.get(id)
    if (kind === undefined) return
    const waiting = this.#byKind.get(kind)!
    if (this.#drop(id)) waiting.isLucky = true
    this.#kindById.delete(id)
    if (waiting.ids.size + waiting.tried.size === 0) this.#byKind.delete(kind)
    else this.#noteLuck(kind, waiting)
  }

  has(id: string): boolean {
    const kind = this.#kindById.get(id)
    return kind !== undefined && this.#byKind.get(kind)!.ids.has(id)
  }

  /** Kinds that the change may help. */
  helpedBy(change: ViewChange, table: ClusterTable): readonly ReplicaKind[] {
    const { nodeIds, replicasMoved, placesMoved, everything } = change
    const isMuch = nodeIds.size * this.#byKind.size > questionsMax
    if (everything || isMuch) return [...this.#byKind.keys()]
    const helped: ReplicaKind[] = []
    for (const [kind, waiting] of this.#byKind) {
      if (waiting.dependsOnReplicas && (replicasMoved || placesMoved)) helped.push(kind)
      else if (change.images.has(kind.image)) helped.push(kind)
      else if (anyCouldTake(table, kind, nodeIds)) helped.push(kind)
    }
    return helped
  }

  /**
   * Some of the kind when it is time to try it again, otherwise how many milliseconds are left. They are out until they
   * are refused again or removed, and nobody else of the kind is woken before.
   */
  wake(kind: ReplicaKind, nowMs: number): readonly string[] | number {
    const waiting = this.#byKind.get(kind)
    if (waiting === undefined || waiting.tried.size > 0) return []
    if (nowMs < waiting.nextTryMs) return waiting.nextTryMs - nowMs
    waiting.isLucky = false
    for (const id of waiting.ids) {
      if (waiting.tried.size >= triedMax) break
      waiting.ids.delete(id)
      waiting.tried.add(id)
    }
    this.#triedCount += waiting.tried.size
    return [...waiting.tried]
  }

  /** Kinds of which some that were woken found a place, and none is out any more: there may be room for others. */
  takeLucky(): readonly ReplicaKind[] {
    const kinds = [...this.#lucky]
    this.#lucky.clear()
    return kinds
  }

  /** Those that were woken apart. */
  *ids(): IterableIterator<string> {
    for (const { ids } of this.#byKind.values()) yield* ids
  }

  /** Whether it was out. */
  #drop(id: string): boolean {
    const kind = this.#kindById.get(id)
    const waiting = kind && this.#byKind.get(kind)
    waiting?.ids.delete(id)
    const wasOut = waiting?.tried.delete(id) ?? false
    if (wasOut) this.#triedCount--
    return wasOut
  }

  #noteLuck(kind: ReplicaKind, { ids, tried, isLucky }: Waiting): void {
    if (isLucky && tried.size === 0 && ids.size > 0) this.#lucky.add(kind)
  }
}

function backOff(waiting: Waiting, nowMs: number): void {
  if (waiting.isLucky) {
    waiting.failures = 0
    return
  }
  const delayMs = Math.min(delayMsMax, delayMsMin * 2 ** waiting.failures++)
  waiting.nextTryMs = nowMs + delayMs
}

function nobodyWaits(): Waiting {
  return {
    ids: new Set(),
    tried: new Set(),
    isLucky: false,
    dependsOnReplicas: false,
    failures: 0,
    nextTryMs: 0,
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
