/**
 * The metadata store: the only durable state of the control plane.
 *
 * A flat, ordered map from keys to bytes with one revision for the whole store. SQLite (one coordinator) and etcd (three
 * or five) stand behind the same contract, and one compliance suite holds both to it.
 *
 * Promises
 *   1. A transaction is atomic and durable when its promise resolves; its preconditions and its reads see one revision.
 *   2. Revisions grow by one with each commit that writes; all writes of a transaction share the revision. Transactions
 *      that wait at the same time may be committed together and share it too, if none touches what another writes.
 *   3. A watch delivers every change after `fromRevision`, in order, each transaction's changes together, or ends with
 *      `failed_precondition` when that history has been compacted.
 *   4. When the outcome of a transaction is not known (the process or the network died), it rejects with `unavailable`
 *      and details.outcome 'unknown': never reported as failed, never as done.
 *
 * Keys are paths of printable ASCII, such as "nodes/node-abc"; at most 1 KiB. Values are at most 1 MiB.
 */

export interface Entry {
  readonly key: string
  readonly value: Uint8Array
  /** Revision at which the key came into being (again, if it had been deleted). */
  readonly createRevision: number
  /** Revision of its newest write: the handle for optimistic concurrency. */
  readonly modRevision: number
}

/** What must hold for a transaction to be committed. */
export type Precondition =
  /** The key does not exist. */
  | { readonly kind: 'absent'; readonly key: string }
  | { readonly kind: 'exists'; readonly key: string }
  /** The key's newest write has this revision. */
  | { readonly kind: 'unchanged'; readonly key: string; readonly modRevision: number }

export type Write =
  | {
      readonly kind: 'put'
      readonly key: string
      readonly value: Uint8Array
      /** The key goes when the lease does. */
      readonly leaseId?: string
    }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'delete-prefix'; readonly prefix: string }

export interface Transaction {
  readonly preconditions?: readonly Precondition[]
  readonly writes: readonly Write[]
}

export type TransactionResult =
  | { readonly kind: 'committed'; readonly revision: number }
  /** Nothing was written; the first precondition that did not hold. */
  | { readonly kind: 'refused'; readonly revision: number; readonly failed: Precondition }

export type Change =
  | { readonly kind: 'put'; readonly entry: Entry }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: number }

/** The changes of one or more whole transactions, in order. */
export interface ChangeBatch {
  /** Revision of the newest change; give it back as `fromRevision` to resume after it. */
  readonly revision: number
  readonly changes: readonly Change[]
}

export interface ListOptions {
  /** At most so many entries; all when not given. */
  readonly limit?: number
  /** Only keys after this one. */
  readonly afterKey?: string
}

export interface ListResult {
  readonly entries: readonly Entry[]
  /** The store's revision the list was read at: watch from here to miss nothing. */
  readonly revision: number
  /** True when `limit` cut the list. */
  readonly more: boolean
}

/** All that the store held at one revision, to be read in pages while writes go on. */
export interface Snapshot {
  readonly revision: number
  /** As the store's own `list`, always of this revision. */
  list(prefix: string, options?: ListOptions): Promise<ListResult>
  /** Must be called: an open snapshot keeps the engine from tidying up. Twice is as good as once. */
  close(): Promise<void>
}

export interface StoreStatus {
  readonly engine: 'sqlite' | 'etcd'
  readonly revision: number
  /** History before this revision is gone. */
  readonly compactedRevision: number
  /** Size on disk. */
  readonly sizeBytes: number
  /** Median of the newest 100 commits, milliseconds. */
  readonly commitLatencyMs: number
}

export interface MetadataStore {
  get(key: string): Promise<Entry | undefined>

  /** Entries whose key starts with `prefix`, by key. */
  list(prefix: string, options?: ListOptions): Promise<ListResult>

  /**
   * For reading everything, however long that takes: minutes, not days. Its reads reject with `failed_precondition` when
   * the history they need has been compacted meanwhile.
   */
  snapshot(): Promise<Snapshot>

  /** Throws `resource_exhausted` when the disk or quota is full (nothing was written), `unavailable` as in promise 4. */
  transact(transaction: Transaction): Promise<TransactionResult>

  /** Changes under `prefix` after `fromRevision`, until the signal is aborted (then it ends without an error). */
  watch(
    prefix: string,
    options: { readonly fromRevision: number; readonly signal: AbortSignal },
  ): AsyncIterable<ChangeBatch>

  /** A lease ends, and its keys with it, when it is not kept alive for `ttlMs`. Returns its id. */
  grantLease(ttlMs: number): Promise<string>
  /** False when the lease has ended. True only if no majority of the store's members has given it up. */
  keepLeaseAlive(leaseId: string): Promise<boolean>
  revokeLease(leaseId: string): Promise<void>

  /** Forgets the history before `revision`; values stay. */
  compact(revision: number): Promise<void>

  status(): Promise<StoreStatus>

  /** Waits for what was begun, then closes. Later calls reject with `unavailable`. */
  close(): Promise<void>
}
