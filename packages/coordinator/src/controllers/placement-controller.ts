/**
 * Gives waiting replicas their places, many as one batch, against the newest picture of the cluster.
 *
 * One batch at a time, and only here are replicas given to nodes, so what was free when the scheduler looked is free
 * when the placement is committed: the preconditions catch a replica or node that changed meanwhile, and the batch is
 * then decided again. What nothing could take waits until a change can help it.
 */
import type { ReplicaRecord } from '@cloudless/api'
import { backoffDelayMs, every, type Clock, type Random } from '@cloudless/base'
import type { ReplicaKind } from '@cloudless/scheduler'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'
import { recordsPerTransactionMax, TransactionRoom } from '../state/transaction-limits.ts'
import { decidePlacements, needsPlace } from './decide-placements.ts'
import { BoundReplicas } from './bound-replicas.ts'
import { PlacementQueue } from './placement-queue.ts'
import type { Reporter } from './reporter.ts'
import type { SchedulerView, ViewChange } from './scheduler-view.ts'
import { WaitingReplicas, type Refused } from './waiting-replicas.ts'

export interface PlacementControllerDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
  /** Called with what nothing could take, after each batch. */
  readonly onRefused?: (refused: readonly Refused[]) => void
}

/** Replicas decided in one transaction: each may need two preconditions, its own and its node's. */
const batchMax = Math.floor(recordsPerTransactionMax / 2)
const retryBackoff = { delayMsMin: 100, delayMsMax: 10_000 }
/** Everything that waits is tried again after this, whatever has been noticed. */
const sweepMs = 60_000

export class PlacementController {
  readonly #deps: PlacementControllerDeps
  readonly #stops: (() => void)[]
  readonly #due = new PlacementQueue()
  readonly #waiting = new WaitingReplicas()
  /** Those that wait for one node. */
  readonly #bound = new BoundReplicas()
  /** Kinds that are woken later. */
  readonly #delayed = new Map<ReplicaKind, () => void>()
  #underWay = 0
  /** While a batch is being decided: what it refuses may be helped by them. */
  #missed: ViewChange[] = []
  #running: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #failures = 0
  #closed = false

  constructor(deps: PlacementControllerDeps) {
    this.#deps = deps
    this.#stops = [
      deps.state.listen((changes) => this.#onChanges(changes)),
      deps.view.listen((change) => this.#onView(change)),
      every(deps.clock, sweepMs, () => this.retryAll()),
    ]
    for (const { id, record } of deps.state.all('replica')) {
      if (needsPlace(record)) this.#add(id, record)
    }
    this.#start()
  }

  /** Replicas without a place. */
  get queueDepth(): number {
    return this.#due.size + this.#waiting.size + this.#bound.size + this.#underWay
  }

  /** Everything that waits is tried again. */
  retryAll(): void {
    for (const id of [...this.#waiting.ids(), ...this.#bound.ids()]) this.#retry(id)
    this.#start()
  }

  /** These are tried again at once, as far as they wait. */
  retry(ids: Iterable<string>): void {
    for (const id of ids) this.#retry(id)
    this.#start()
  }

  /** Resolves when what is due now has been decided. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const stop of this.#stops) stop()
    // What is under way may yet ask to be woken.
    await this.#running
    for (const cancel of this.#delayed.values()) cancel()
    this.#cancelRetry?.()
  }

  #add(id: string, { spec, status }: ReplicaRecord): void {
    this.#due.add({ id, priority: spec!.priority, createdAtMs: Number(status!.createdAtMs) })
  }

  /** From those that wait to those that are due. */
  #retry(id: string): void {
    this.#waiting.remove(id)
    this.#bound.remove(id)
    this.#try(id)
  }

  /** The view may know of a change before we do: it may be gone. */
  #try(id: string): void {
    const record = this.#deps.state.get('replica', id)
    if (record && needsPlace(record)) this.#add(id, record)
    else this.#waiting.remove(id)
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind !== 'replica') continue
      const { id, before, after } = change as RecordChange<'replica'>
      if (after && needsPlace(after)) {
        // A changed reason is our own doing: it is no cause to try again.
        if (!before || !needsPlace(before)) this.#add(id, after)
        continue
      }
      this.#waiting.remove(id)
      this.#bound.remove(id)
      this.#due.remove(id)
    }
    this.#start()
  }

  #onView(change: ViewChange): void {
    if (this.#underWay > 0) {
      this.#missed.push(change)
      return
    }
    const { nodeIds, images, everything } = change
    const isWide = everything || images.size > 0
    for (const id of isWide ? [...this.#bound.ids()] : this.#bound.waitingFor(nodeIds)) {
      this.#retry(id)
    }
    for (const kind of this.#waiting.helpedBy(change, this.#deps.view.table)) this.#wake(kind)
    this.#start()
  }

  #wake(kind: ReplicaKind): void {
    const { clock } = this.#deps
    const woken = this.#waiting.wake(kind, clock.monotonicMs())
    if (typeof woken !== 'number') {
      for (const id of woken) this.#try(id)
    } else if (!this.#delayed.has(kind)) {
      const onTime = (): void => {
        this.#delayed.delete(kind)
        this.#wake(kind)
        this.#start()
      }
      this.#delayed.set(kind, clock.after(woken, onTime))
    }
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
      // The rest of a batch of changes joins the batch of decisions.
      await Promise.resolve()
      while (this.#due.size > 0 && !this.#closed) await this.#placeBatch()
      this.#failures = 0
    } catch (reason) {
      this.#deps.report.schedulingFailed(reason)
      const delayMs = backoffDelayMs(this.#deps.random, this.#failures++, retryBackoff)
      this.#cancelRetry = this.#deps.clock.after(delayMs, () => {
        this.#cancelRetry = undefined
        this.#start()
      })
    }
  }

  async #placeBatch(): Promise<void> {
    const { state, clock, report } = this.#deps
    const ids = this.#takeBatch()
    const spentMs = { filter: 0, score: 0 }
    const startMs = clock.monotonicMs()
    this.#underWay = ids.length
    try {
      const outcome = await state.update(() => decidePlacements(this.#deps, ids, spentMs))
      const bindMs = clock.monotonicMs() - startMs - spentMs.filter - spentMs.score
      if (!outcome) return
      outcome.say()
      this.#wait(outcome.refused.filter(this.#stillWaits))
      if (outcome.refused.length > 0) this.#deps.onRefused?.(outcome.refused)
      if (outcome.placed + outcome.refused.length === 0) return
      report.scheduled({
        placed: outcome.placed,
        unplaceable: outcome.refused.length,
        filterSeconds: spentMs.filter / 1_000,
        scoreSeconds: spentMs.score / 1_000,
        bindSeconds: bindMs / 1_000,
      })
    } catch (reason) {
      for (const id of ids) this.#try(id)
      throw reason
    } finally {
      this.#underWay = 0
      this.#wakeMore()
    }
  }

  #wait(refused: readonly Refused[]): void {
    const { state, clock } = this.#deps
    const nodeIdOf = ({ id }: Refused): string => state.get('replica', id)!.status!.boundNodeId
    for (const one of refused) {
      const nodeId = nodeIdOf(one)
      if (nodeId !== '') this.#bound.add(one.id, nodeId)
    }
    const unbound = refused.filter((one) => nodeIdOf(one) === '')
    this.#waiting.add(unbound, clock.monotonicMs())
  }

  /** What changed while a batch was under way, and what its success promises to others. */
  #wakeMore(): void {
    const missed = this.#missed
    this.#missed = []
    for (const kind of this.#waiting.takeLucky()) this.#wake(kind)
    for (const change of missed) this.#onView(change)
  }

  /** It may have been stopped while the batch was being committed. */
  readonly #stillWaits = ({ id }: Refused): boolean => {
    const record = this.#deps.state.get('replica', id)
    return record !== undefined && needsPlace(record)
  }

  #takeBatch(): string[] {
    const ids: string[] = []
    const room = new TransactionRoom(batchMax)
    for (let id = this.#due.next(); id !== undefined; id = this.#due.next()) {
      if (!room.takes(this.#deps.state.held('replica', id)?.bytes ?? 0)) {
        this.#try(id)
        break
      }
      ids.push(id)
    }
    return ids
  }
}
