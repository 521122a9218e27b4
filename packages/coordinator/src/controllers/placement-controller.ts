/**
 * Gives waiting replicas their places: all that wait, as one batch, against the newest picture of the cluster.
 *
 * One batch at a time, and only here are replicas given to nodes, so what was free when the scheduler looked is free
 * when the placement is committed; the preconditions catch a replica or node that changed meanwhile, and the batch is
 * then decided again. What could not be placed waits for a change that can help: a node, or room on one.
 */
import type { ReplicaRecord } from '@cloudless/api'
import { backoffDelayMs, type Clock, type Random } from '@cloudless/base'
import type { ScoreWeights } from '@cloudless/scheduler'
import type { ClusterState, Held, RecordChange } from '../state/cluster-state.ts'
import { recordsPerTransactionMax } from '../state/transaction-limits.ts'
import { decidePlacements, needsPlace } from './decide-placements.ts'
import type { Reporter } from './reporter.ts'
import type { SchedulerView } from './scheduler-view.ts'

export interface PlacementControllerDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
}

export interface PlacementOptions {
  readonly weights: ScoreWeights
}

/** Replicas decided in one transaction: each needs two preconditions, its own and its node's. */
const batchMax = recordsPerTransactionMax / 2
const retryBackoff = { delayMsMin: 100, delayMsMax: 10_000 }

export class PlacementController {
  readonly #deps: PlacementControllerDeps
  readonly #options: PlacementOptions
  readonly #stopListening: () => void
  /** Ids of replicas without a place. */
  readonly #waiting = new Set<string>()
  /** Those of them that something may have changed for since they were last tried. */
  readonly #due = new Set<string>()
  #running: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #failures = 0
  #closed = false

  constructor(deps: PlacementControllerDeps, options: PlacementOptions) {
    this.#deps = deps
    this.#options = options
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id, record } of deps.state.all('replica')) {
      if (needsPlace(record)) this.#wait(id)
    }
    this.#start()
  }

  /** Replicas without a place. */
  get queueDepth(): number {
    return this.#waiting.size
  }

  /** Everything that waits is tried again. */
  retryAll(): void {
    for (const id of this.#waiting) this.#due.add(id)
    this.#start()
  }

  /** Resolves when what is due now has been decided. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopListening()
    this.#cancelRetry?.()
    await this.#running
  }

  #wait(id: string): void {
    this.#waiting.add(id)
    this.#due.add(id)
  }

  #onChanges(changes: readonly RecordChange[]): void {
    this.#deps.view.invalidate(changes)
    let helps = false
    for (const change of changes) {
      if (change.kind === 'node') helps ||= change.after !== undefined
      if (change.kind !== 'replica') continue
      const { before, after } = change as RecordChange<'replica'>
      if (after && needsPlace(after)) {
        // A changed reason is our own doing: it is no cause to try again.
        if (!before || !needsPlace(before)) this.#wait(change.id)
        continue
      }
      this.#waiting.delete(change.id)
      this.#due.delete(change.id)
      // Room came free; affinities may be satisfied by what was placed.
      helps ||= after === undefined || before?.status!.nodeId !== after.status!.nodeId
    }
    if (helps && this.#waiting.size > 0) for (const id of this.#waiting) this.#due.add(id)
    this.#start()
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
        this.retryAll()
      })
    }
  }

  async #placeBatch(): Promise<void> {
    const { state, clock, report } = this.#deps
    const { weights } = this.#options
    const ids = this.#takeBatch()
    const spentMs = { filter: 0, score: 0 }
    const startMs = clock.monotonicMs()
    try {
      const outcome = await state.update(() =>
        decidePlacements({ ...this.#deps, weights }, ids, spentMs),
      )
      const bindMs = clock.monotonicMs() - startMs - spentMs.filter - spentMs.score
      outcome?.say()
      if (!outcome || outcome.placed + outcome.unplaceable === 0) return
      report.scheduled({
        ...outcome,
        filterSeconds: spentMs.filter / 1_000,
        scoreSeconds: spentMs.score / 1_000,
        bindSeconds: bindMs / 1_000,
      })
    } catch (reason) {
      for (const id of ids) this.#due.add(id)
      throw reason
    }
  }

  /** Takes from what is due: highest priority first, then the oldest. */
  #takeBatch(): string[] {
    const due: Held<ReplicaRecord>[] = []
    for (const id of this.#due) {
      const held = this.#deps.state.held('replica', id)
      if (held && needsPlace(held.record)) due.push(held)
      else this.#due.delete(id)
    }
    due.sort(
      (a, b) =>
        b.record.spec!.priority - a.record.spec!.priority ||
        Number(a.record.status!.createdAtMs - b.record.status!.createdAtMs),
    )
    const ids = due.slice(0, batchMax).map((held) => held.id)
    for (const id of ids) this.#due.delete(id)
    return ids
  }
}
