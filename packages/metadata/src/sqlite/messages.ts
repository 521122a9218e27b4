/** What the main thread and the two workers of the SQLite store say to each other. */
import type { Change, Entry, ListOptions, Precondition, Transaction } from '../store.ts'
import type { FailureMessage } from './failure.ts'

/** Given to both workers at their start. */
export interface DatabaseOptions {
  readonly path: string
  /** Writes fail with `resource_exhausted` beyond this. */
  readonly sizeBytesMax: number
  /** So many of the newest revisions can be watched from. */
  readonly historyRevisions: number
  /** And at most so many changes, whole transactions. */
  readonly historyChangesMax: number
  /** Added to each commit, as a slow disk would. */
  readonly commitDelayMs: number
}

/** What goes into a commit of the writer; each has its own outcome, in order. */
export type Operation =
  | { readonly kind: 'transact'; readonly transaction: Transaction }
  | { readonly kind: 'grant-lease'; readonly leaseId: string; readonly ttlMs: number }
  | { readonly kind: 'revoke-lease'; readonly leaseId: string }
  | { readonly kind: 'compact'; readonly revision: number }

/** `changes` is empty and `revision` is the store's when nothing was written. */
export type Outcome =
  | { readonly kind: 'done'; readonly revision: number; readonly changes: readonly Change[] }
  | { readonly kind: 'refused'; readonly revision: number; readonly failed: Precondition }
  | { readonly kind: 'failed'; readonly failure: FailureMessage }

/** A transaction in columns, one item for each precondition, write or put. */
export interface PackedTransaction {
  readonly preconditionKinds: Uint8Array
  readonly preconditionKeys: readonly string[]
  /** 0 where the kind is not 'unchanged'. */
  readonly modRevisions: Float64Array
  readonly writeKinds: Uint8Array
  /** Keys and prefixes. */
  readonly writeKeys: readonly string[]
  /** Of the puts, one after another. */
  readonly values: Uint8Array
  readonly valueBytes: Uint32Array
  /** Of the puts; undefined when none has one. */
  readonly leaseIds: readonly (string | undefined)[] | undefined
}

export type PackedOperation =
  | Exclude<Operation, { readonly kind: 'transact' }>
  | { readonly kind: 'transact'; readonly packed: PackedTransaction }

export type PackedOutcome =
  | Exclude<Outcome, { readonly kind: 'done' }>
  | {
      readonly kind: 'done'
      readonly revision: number
      /** Of the keys that were put, in the order of the writes. */
      readonly createRevisions: Float64Array
      readonly deletedKeys: readonly string[]
    }

export interface PackedReply extends Omit<CommitReply, 'outcomes'> {
  readonly outcomes: readonly PackedOutcome[]
}

export interface CommitRequest {
  readonly kind: 'commit'
  readonly operations: readonly PackedOperation[]
}

export interface CommitReply {
  readonly outcomes: readonly Outcome[]
  readonly revision: number
  readonly compactedRevision: number
  readonly commitMs: number
}

/** Said by the writer once it has the database. */
export interface OpenedReply {
  readonly revision: number
  readonly compactedRevision: number
  readonly leases: readonly { readonly leaseId: string; readonly ttlMs: number }[]
}

export interface HistoryPage {
  readonly changes: readonly Change[]
  /** All changes up to here have been looked at: resume after it. */
  readonly revision: number
  readonly compactedRevision: number
}

export type ReadRequest =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'list'; readonly prefix: string; readonly options: ListOptions }
  | { readonly kind: 'history'; readonly prefix: string; readonly fromRevision: number }
  | { readonly kind: 'size' }
  /** Every later list is of the state at this moment. Answers with its revision. */
  | { readonly kind: 'hold' }

export interface ReadReplies {
  readonly get: Entry | undefined
  readonly list: {
    readonly entries: readonly Entry[]
    readonly revision: number
    readonly more: boolean
  }
  readonly history: HistoryPage
  readonly size: number
  readonly hold: number
}
