/**
 * The coordinator's picture of the metadata store: every record decoded in memory, with the indexes reads need.
 *
 * It follows the store's watch, so it is a moment behind; `write` returns only when the picture holds what was
 * written, which gives every caller read-your-writes. All decisions are made on this picture and committed with
 * preconditions on the revisions they were made from, so a stale picture costs a retry and never a wrong write.
 *
 * Invariants
 *   1. Changes are applied in the store's order, whole transactions at a time; listeners run after each batch.
 *   2. Records are never changed in place: a listener may keep what it was given. What this process itself wrote is
 *      taken over as it was written, as long as its bytes are those that the store delivers.
 */
import { CloudlessError, Semaphore, type Clock } from '@cloudless/base'
import type {
  Change,
  MetadataStore,
  Precondition,
  Transaction,
  TransactionResult,
  Write,
} from '@cloudless/metadata'
import {
  keyOf,
  parseKey,
  RecordDecoder,
  recordKinds,
  type RecordByKind,
  type RecordKind,
} from './records.ts'
import { RecordIndexes } from './record-indexes.ts'
import { WrittenRecords } from './written-records.ts'

export { putRecord } from './written-records.ts'

export interface Held<R> {
  readonly id: string
  readonly record: R
  readonly modRevision: number
  /** As it is stored. */
  readonly bytes: number
}

/** One record that changed; `before` or `after` is missing when it was made or deleted. */
export interface RecordChange<K extends RecordKind = RecordKind> {
  readonly kind: K
  readonly id: string
  readonly before?: RecordByKind[K]
  readonly after?: RecordByKind[K]
}

export type ChangeListener = (changes: readonly RecordChange[]) => void

export interface ClusterStateDeps {
  readonly store: MetadataStore
  readonly clock: Clock
}

const writeAttemptsMax = 10
const catchUpMsMax = 10_000
/** Of the store, read at once at the start. */
const pageEntries = 5_000

export class ClusterState {
  readonly #store: MetadataStore
  readonly #clock: Clock
  readonly #tables = new Map<RecordKind, Map<string, Held<RecordByKind[RecordKind]>>>()
  readonly #listeners = new Set<ChangeListener>()
  readonly #waiters = new Set<{ readonly revision: number; readonly resolve: () => void }>()
  readonly #indexes = new RecordIndexes()
  readonly #written = new WrittenRecords()
  readonly #decoder = new RecordDecoder()
  readonly #refused = new Semaphore(1)
  #revision = 0
  #failure: CloudlessError | undefined

  private constructor(deps: ClusterStateDeps) {
    this.#store = deps.store
    this.#clock = deps.clock
    for (const kind of recordKinds) this.#tables.set(kind, new Map())
  }

  /** Reads everything, then follows the store until the signal is aborted. `onFailure` is called when it cannot. */
  static async open(
    deps: ClusterStateDeps,
    options: { readonly signal: AbortSignal; readonly onFailure: (error: CloudlessError) => void },
  ): Promise<ClusterState> {
    const state = new ClusterState(deps)
    await state.#readAll()
    void state.#follow(options.signal).catch((reason: unknown) => {
      state.#failure = CloudlessError.from(reason, 'following the metadata store')
      options.onFailure(state.#failure)
    })
    return state
  }

  get revision(): number {
    return this.#revision
  }

  get<K extends RecordKind>(kind: K, id: string): RecordByKind[K] | undefined {
    return this.held(kind, id)?.record
  }

  held<K extends RecordKind>(kind: K, id: string): Held<RecordByKind[K]> | undefined {
    return this.#table(kind).get(id)
  }

  all<K extends RecordKind>(kind: K): IterableIterator<Held<RecordByKind[K]>> {
    return this.#table(kind).values()
  }

  count(kind: RecordKind): number {
    return this.#table(kind).size
  }

  replicasOfWorkload(workloadId: string): Held<RecordByKind['replica']>[] {
    return this.#resolve('replica', this.#indexes.replicasOfWorkload(workloadId))
  }

  replicasOnNode(nodeId: string): Held<RecordByKind['replica']>[] {
    return this.#resolve('replica', this.#indexes.replicasOnNode(nodeId))
  }

  /** In any order. */
  revisionsOfWorkload(workloadId: string): Held<RecordByKind['revision']>[] {
    return this.#resolve('revision', this.#indexes.revisionsOfWorkload(workloadId))
  }

  /** Jobs of a cron. */
  workloadsOwnedBy(workloadId: string): Held<RecordByKind['workload']>[] {
    return this.#resolve('workload', this.#indexes.workloadsOwnedBy(workloadId))
  }

  replicaCountOnNode(nodeId: string): number {
    return this.#indexes.replicasOnNode(nodeId).size
  }

  /** By id, or by name: members have unique names. */
  findNode(idOrName: string): Held<RecordByKind['node']> | undefined {
    return this.held('node', idOrName) ?? this.held('node', this.#indexes.nodeIdOf(idOrName) ?? '')
  }

  /** Whether a member has this subnet, such as "10.244.3.0/24". */
  isSubnetTaken(subnet: string): boolean {
    return this.#indexes.nodeIdOfSubnet(subnet) !== undefined
  }

  /** Runs after every batch of changes, until the returned function is called. */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Commits, then waits until this picture shows it. A refused transaction leaves everything as it was. */
  async write(transaction: Transaction): Promise<TransactionResult> {
    this.#written.expect(transaction)
    try {
      const result = await this.#store.transact(transaction)
      await this.caughtUp(result.revision)
      return result
    } finally {
      this.#written.forget(transaction)
    }
  }

  /**
   * Decides on the picture and commits what was decided; decides again when the picture had become stale.
   * `decide` returns undefined to write nothing. Throws `conflict` after too many attempts.
   *
   * Those that were refused once try again one after another: a hundred devices that join with one token would
   * otherwise refuse each other until most had no attempts left.
   */
  async update<T>(decide: () => Decision<T> | undefined): Promise<T | undefined> {
    const first = await this.#attempt(decide)
    if (first.done) return first.result
    return this.#refused.run(async () => {
      for (let attempt = 1; attempt < writeAttemptsMax; attempt++) {
        const next = await this.#attempt(decide)
        if (next.done) return next.result
      }
      throw new CloudlessError('conflict', 'others kept changing the same records; try again')
    })
  }

  async #attempt<T>(
    decide: () => Decision<T> | undefined,
  ): Promise<{ readonly done: boolean; readonly result: T | undefined }> {
    const decision = decide()
    if (decision === undefined) return { done: true, result: undefined }
    const { result } = decision
    if (decision.writes.length === 0) return { done: true, result }
    const { kind } = await this.write(decision)
    return { done: kind === 'committed', result }
  }

  /** Resolves when every change up to `revision` has been applied. */
  caughtUp(revision: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    if (revision <= this.#revision) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        resolve: () => {
          cancel()
          resolve()
        },
      }
      const cancel = this.#clock.after(catchUpMsMax, () => {
        this.#waiters.delete(waiter)
        reject(
          new CloudlessError(
            'unavailable',
            `the change was stored, but the coordinator did not see it within ${catchUpMsMax} ms`,
          ),
        )
      })
      this.#waiters.add(waiter)
    })
  }

  /** Page by page; what changes between two pages is seen again by following from the first, and changes nothing. */
  async #readAll(): Promise<void> {
    for (let afterKey = ''; ;) {
      const page = await this.#store.list('', { limit: pageEntries, afterKey })
      if (afterKey === '') this.#revision = page.revision
      for (const entry of page.entries) this.#apply({ kind: 'put', entry })
      if (!page.more) return
      afterKey = page.entries.at(-1)!.key
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const batches = this.#store.watch('', { fromRevision: this.#revision, signal })
    for await (const batch of batches) {
      const changes: RecordChange[] = []
      for (const change of batch.changes) {
        const applied = this.#apply(change)
        if (applied) changes.push(applied)
      }
      this.#revision = Math.max(this.#revision, batch.revision)
      if (changes.length > 0) for (const listener of this.#listeners) listener(changes)
      for (const waiter of this.#waiters) {
        if (waiter.revision > this.#revision) continue
        this.#waiters.delete(waiter)
        waiter.resolve()
      }
    }
  }

  #apply(change: Change): RecordChange | undefined {
    const key = change.kind === 'put' ? change.entry.key : change.key
    const parsed = parseKey(key)
    if (parsed === undefined) return undefined
    const { kind, id } = parsed
    const table = this.#table(kind)
    const held = table.get(id)
    const before = held?.record
    const changedAt = change.kind === 'put' ? change.entry.modRevision : change.modRevision
    if (held && held.modRevision >= changedAt) return undefined
    if (change.kind === 'delete') {
      table.delete(id)
      this.#indexes.move(kind, id, before, undefined)
      return before && { kind, id, before }
    }
    const { value, modRevision } = change.entry
    const written = this.#written.find(key, value)
    const after = written?.record ?? this.#decoder.decode(kind, key, value)
    table.set(id, { id: written?.id ?? id, record: after, modRevision, bytes: value.byteLength })
    this.#indexes.move(kind, id, before, after)
    return before ? { kind, id, before, after } : { kind, id, after }
  }

  #resolve<K extends RecordKind>(kind: K, ids: ReadonlySet<string>): Held<RecordByKind[K]>[] {
    const found: Held<RecordByKind[K]>[] = []
    for (const id of ids) {
      const held = this.held(kind, id)
      if (held) found.push(held)
    }
    return found
  }

  #table<K extends RecordKind>(kind: K): Map<string, Held<RecordByKind[K]>> {
    return this.#tables.get(kind)! as Map<string, Held<RecordByKind[K]>>
  }
}

/** What to commit, and what to tell the caller when it was. */
export interface Decision<T> {
  readonly preconditions: readonly Precondition[]
  readonly writes: readonly Write[]
  readonly result: T
}

export function deleteRecord(kind: RecordKind, id: string): Write {
  return { kind: 'delete', key: keyOf(kind, id) }
}

/** The record is still the one that was read. */
export function unchanged(kind: RecordKind, held: Held<unknown>): Precondition {
  return { kind: 'unchanged', key: keyOf(kind, held.id), modRevision: held.modRevision }
}

export function absent(kind: RecordKind, id: string): Precondition {
  return { kind: 'absent', key: keyOf(kind, id) }
}
