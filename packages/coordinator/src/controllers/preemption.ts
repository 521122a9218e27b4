/**
 * Makes room for replicas that nothing could take and whose priority allows it: stops others of a lower priority, and
 * keeps their room for the one it was made for.
 *
 *     refused by placement ──victims stop──▶ nominated ──they are gone──▶ placed
 *            ▲                                   │
 *            └──── the room does not come about ─┘
 *
 * It runs beside placement, one transaction at a time, and never decides where a replica goes: when the room is there
 * placement is asked to try again. Everything it knows is on record, so a restart goes on where this one was.
 *
 * Invariants
 *   1. The stop of the victims and the reservation of their room are one transaction.
 *   2. No workload is taken below its `min_available`, and no victim has an equal or a higher priority.
 *   3. Room that is being made is reserved: nothing of an equal or a lower priority is placed there meanwhile.
 */
import type { ReplicaRecord } from '@cloudless/api'
import { backoffDelayMs, sleep, type Clock, type Random } from '@cloudless/base'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'
import { GroupedIndex } from '../state/grouped-index.ts'
import { decidePreemptions } from './decide-preemptions.ts'
import { needsPlace } from './decide-placements.ts'
import { PlacementQueue } from './placement-queue.ts'
import type { Reporter } from './reporter.ts'
import type { SchedulerView } from './scheduler-view.ts'
import { SpareReplicas } from './spare-replicas.ts'
import type { Refused } from './waiting-replicas.ts'

export interface PreemptionControllerDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
  /** Has placement try them again at once. */
  readonly retry: (ids: readonly string[]) => void
}

export interface PreemptionControllerOptions {
  /** For tests. */
  readonly reviewMs?: number
}

/** Looked at in one go; a transaction takes fewer when there are victims. */
const batchMax = 64
/** Between two batches others have their turn. */
const pauseMs = 1
/** Replicas for which nothing could be done are looked at again so long after something changed. */
const reviewMsDefault = 5_000
const retryBackoff = { delayMsMin: 100, delayMsMax: 10_000 }

export class PreemptionController {
  readonly #deps: PreemptionControllerDeps
  readonly #spare: SpareReplicas
  readonly #reviewMs: number
  readonly #stopListening: () => void
  readonly #due = new PlacementQueue()
  readonly #hopeless = new Set<string>()
  /** Ids of replicas for which room is being made, by node. */
  readonly #nominatedByNode = new GroupedIndex()
  #running: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #cancelReview: (() => void) | undefined
  #failures = 0
  #closed = false

  constructor(deps: PreemptionControllerDeps, options: PreemptionControllerOptions = {}) {
    const { state } = deps
    this.#deps = deps
    this.#reviewMs = options.reviewMs ?? reviewMsDefault
    this.#spare = new SpareReplicas(state)
    this.#stopListening = state.listen((changes) => this.#onChanges(changes))
    for (const { id, record } of state.all('replica')) {
      if (nominationOf(record) === '') continue
      this.#noteNomination(id, undefined, record)
      this.#add(id)
    }
    this.#start()
  }

  /** What placement could not place. */
  offer(refused: readonly Refused[]): void {
    const { preemptionPriorityAbove } = this.#deps.view.configuration()
    for (const { id, kind } of refused) if (kind.priority > preemptionPriorityAbove) this.#add(id)
    this.#start()
  }

  /** Resolves when what is due now has been decided. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopListening()
    // What is under way may yet fail, and ask for another try.
    await this.#running
    this.#cancelRetry?.()
    this.#cancelReview?.()
  }

  #add(id: string): void {
    const record = this.#deps.state.get('replica', id)
    this.#hopeless.delete(id)
    if (record === undefined || !needsPlace(record)) return
    const { spec, status } = record
    this.#due.add({ id, priority: spec!.priority, createdAtMs: Number(status!.createdAtMs) })
  }

  /** Whatever has changed may help: others have become ready, budgets are larger, somebody of less weight has come. */
  #reviewLater(): void {
    if (this.#hopeless.size === 0) return
    this.#cancelReview ??= this.#deps.clock.after(this.#reviewMs, () => {
      this.#cancelReview = undefined
      for (const id of [...this.#hopeless]) this.#add(id)
      this.#start()
    })
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind === 'node') this.#lookAtRoomOn(change.id)
      if (change.kind === 'replica') this.#onReplica(change as RecordChange<'replica'>)
    }
    this.#reviewLater()
    this.#start()
  }

  #onReplica(change: RecordChange<'replica'>): void {
    const { id, before, after } = change
    this.#spare.follow(change)
    if (after === undefined || !needsPlace(after)) {
      this.#due.remove(id)
      this.#hopeless.delete(id)
    }
    if (nominationOf(before) !== nominationOf(after)) {
      this.#noteNomination(id, before, after)
      // The room may be there already; and who lost it to a higher priority needs another.
      this.#add(id)
    }
    const [from, to] = [before?.status!.nodeId ?? '', after?.status!.nodeId ?? '']
    if (from === to) return
    this.#lookAtRoomOn(from)
    this.#lookAtRoomOn(to)
  }

  #noteNomination(id: string, before?: ReplicaRecord, after?: ReplicaRecord): void {
    const [old, now] = [nominationOf(before), nominationOf(after)]
    this.#nominatedByNode.move(id, old || undefined, now || undefined)
  }

  /** Something of the node is different: room that is being made there may have come, or may not come any more. */
  #lookAtRoomOn(nodeId: string): void {
    for (const id of this.#nominatedByNode.of(nodeId)) this.#add(id)
  }

  #start(): void {
    if (this.#closed || this.#due.size === 0 || this.#running || this.#cancelRetry) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#start()
    })
  }

  async #run(): Promise<void> {
    try {
      // The rest of a batch of changes, which the view may see after us, comes first.
      await Promise.resolve()
      while (this.#due.size > 0 && !this.#closed) {
        await this.#decideBatch()
        if (this.#due.size > 0) await sleep(this.#deps.clock, pauseMs)
      }
      this.#failures = 0
    } catch (reason) {
      this.#deps.report.error('making room for replicas of a higher priority', reason)
      const delayMs = backoffDelayMs(this.#deps.random, this.#failures++, retryBackoff)
      this.#cancelRetry = this.#deps.clock.after(delayMs, () => {
        this.#cancelRetry = undefined
        this.#start()
      })
    }
  }

  async #decideBatch(): Promise<void> {
    const { state, view, clock, report, retry } = this.#deps
    const ids = this.#takeBatch()
    const deps = { state, view, clock, report, spare: this.#spare }
    try {
      const outcome = await state.update(() => decidePreemptions(deps, ids))
      if (outcome === undefined) return
      outcome.say()
      for (const id of outcome.hopeless) this.#hopeless.add(id)
      for (const id of outcome.left) this.#add(id)
      if (outcome.retry.length > 0) retry(outcome.retry)
    } catch (reason) {
      for (const id of ids) this.#add(id)
      throw reason
    }
  }

  #takeBatch(): string[] {
    const ids: string[] = []
    while (ids.length < batchMax) {
      const id = this.#due.next()
      if (id === undefined) break
      ids.push(id)
    }
    return ids
  }
}

/** The node where room is being made for it; empty when there is none. */
function nominationOf(record: ReplicaRecord | undefined): string {
  return record !== undefined && needsPlace(record) ? record.status!.nominatedNodeId : ''
}
