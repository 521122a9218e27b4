/**
 * The metadata store of a single coordinator: SQLite in a file.
 *
 * ```
 *   callers -> CommitQueue -> writer thread: one SQLite transaction and one fsync for all that waited
 *                                 | outcomes, changes
 *   watches <- RecentChanges <----+
 *      \ those that fell behind, and every get and list
 *       `----> reader thread: its own connection, which in WAL mode never waits for the writer
 * ```
 *
 * The reads have a thread and not an in-memory copy, because a copy would double what the coordinator needs on a small
 * machine and would have to be filled at start; nor are they done in the main thread, because a page that is not cached
 * waits behind the same slow disk, and heartbeats must not.
 */
import { CloudlessError, randomId, type Clock, type Random } from '@cloudless/base'
import { LeaseTimers } from '../lease-timers.ts'
import { RecentChanges } from '../recent-changes.ts'
import {
  problemWithKey,
  problemWithLimit,
  problemWithPrefix,
  problemWithTransaction,
  requireValid,
} from '../rules.ts'
import type { MetadataStore, Snapshot, Transaction } from '../store.ts'
import { CommitLatency } from '../commit-latency.ts'
import { createWatch } from '../watch.ts'
import { CommitQueue } from './commit-queue.ts'
import { fromFailureMessage } from './failure.ts'
import type { DatabaseOptions, OpenedReply, Operation, Outcome, PackedReply } from './messages.ts'
import type { ReadReplies, ReadRequest } from './messages.ts'
import { copyOf, packOperation, unpackReply } from './packing.ts'
import { openSnapshot } from './snapshot.ts'
import { startWorker } from './worker-call.ts'

export interface SqliteStoreDeps {
  readonly clock: Clock
  readonly random: Random
}

export interface SqliteStoreOptions {
  /** The database's file; -wal, -shm and .lock files lie beside it. Its directory exists. */
  readonly path: string
  /** So many of the newest revisions can be watched from; 10,000 when not given. */
  readonly historyRevisions?: number
  /** And at most so many changes, whole transactions; 100,000 when not given. */
  readonly historyChangesMax?: number
  /** Writes fail with `resource_exhausted` beyond this; 8 GiB when not given. */
  readonly sizeBytesMax?: number
  /** For tests: added to each commit, as a slow disk would. */
  readonly commitDelayMs?: number
}

const recentOptions = { changesMax: 20_000, bytesMax: 8 * 1024 * 1024 }
/** A lease whose end could not be written is tried again after this. */
const leaseRetryMs = 1_000

/**
 * Opens the store, making it when there is none. Throws `failed_precondition` when another process has it open or a
 * newer version wrote it, `corrupt_data` when the file is damaged; the message names the file and what to do.
 */
export async function createSqliteStore(
  deps: SqliteStoreDeps,
  options: SqliteStoreOptions,
): Promise<MetadataStore> {
  const databaseOptions: DatabaseOptions = {
    path: options.path,
    historyRevisions: options.historyRevisions ?? 10_000,
    historyChangesMax: options.historyChangesMax ?? 100_000,
    sizeBytesMax: options.sizeBytesMax ?? 8 * 1024 ** 3,
    commitDelayMs: options.commitDelayMs ?? 0,
  }
  let failure: CloudlessError | undefined
  let wakeWatches = (): void => {}
  const onDeath = (reason: CloudlessError): void => {
    failure ??= reason
    wakeWatches()
  }
  const writer = startWorker(new URL('./writer.ts', import.meta.url), databaseOptions, onDeath)
  let opened: OpenedReply
  try {
    opened = await writer.call<OpenedReply>({ kind: 'open' })
  } catch (reason) {
    await writer.close()
    throw reason
  }
  const reader = startWorker(new URL('./reader.ts', import.meta.url), databaseOptions, onDeath)
  const changes = new RecentChanges(opened.revision, recentOptions)
  wakeWatches = () => changes.wakeAll()
  let { compactedRevision } = opened
  const latency = new CommitLatency()

  const queue = new CommitQueue(
    async (operations) => {
      const packed = operations.map(packOperation)
      const reply = await writer.call<PackedReply>({ kind: 'commit', operations: packed })
      return unpackReply(operations, reply)
    },
    (reply) => {
      for (const outcome of reply.outcomes) {
        if (outcome.kind === 'done' && outcome.changes.length > 0) {
          changes.push(outcome.revision, outcome.changes)
        }
      }
      compactedRevision = reply.compactedRevision
      changes.forgetBefore(compactedRevision)
      latency.add(reply.commitMs)
    },
  )
  const snapshots = new Set<Snapshot>()
  const leases = new LeaseTimers(deps.clock, (leaseId) => void endLease(leaseId))
  for (const { leaseId, ttlMs } of opened.leases) leases.start(leaseId, ttlMs)

  async function endLease(leaseId: string): Promise<void> {
    if (failure !== undefined) return
    const outcome = await queue.add({ kind: 'revoke-lease', leaseId }, 0).catch(toFailedOutcome)
    if (outcome.kind === 'failed') leases.start(leaseId, leaseRetryMs)
  }

  async function write(operation: Operation, bytes: number): Promise<SuccessfulOutcome> {
    requireOpen()
    const outcome = await queue.add(operation, bytes)
    if (outcome.kind === 'failed') throw fromFailureMessage(outcome.failure)
    return outcome
  }

  function read<Kind extends keyof ReadReplies>(
    request: ReadRequest & { readonly kind: Kind },
  ): Promise<ReadReplies[Kind]> {
    return reader.call<ReadReplies[Kind]>(request)
  }

  let closing: Promise<void> | undefined
  async function close(): Promise<void> {
    failure ??= new CloudlessError('unavailable', 'the metadata store is closed')
    leases.stop()
    await queue.drain()
    changes.wakeAll()
    await Promise.all([...snapshots].map((snapshot) => snapshot.close()))
    // The writer last: the last connection to go folds the write-ahead log into the database.
    await reader.close()
    await writer.close()
  }

  function requireOpen(): void {
    if (failure !== undefined) throw failure
  }

  return {
    async get(key) {
      requireOpen()
      requireValid(`reading key ${JSON.stringify(key)}`, problemWithKey(key))
      return read({ kind: 'get', key })
    },

    async list(prefix, listOptions = {}) {
      requireOpen()
      requireValid(`listing prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
      requireValid('listing with a limit', problemWithLimit(listOptions.limit))
      return read({ kind: 'list', prefix, options: listOptions })
    },

    async snapshot() {
      requireOpen()
      const snapshot = await openSnapshot(databaseOptions)
      snapshots.add(snapshot)
      return {
        ...snapshot,
        close: async () => {
          snapshots.delete(snapshot)
          await snapshot.close()
        },
      }
    },

    async transact(transaction) {
      requireValid('writing to the metadata store', problemWithTransaction(transaction))
      const own = copyOf(transaction)
      const outcome = await write({ kind: 'transact', transaction: own }, bytesOf(own))
      if (outcome.kind === 'refused') return outcome
      return { kind: 'committed', revision: outcome.revision }
    },

    watch(prefix, watchOptions) {
      requireOpen()
      requireValid(`watching prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
      return createWatch(
        {
          recent: changes,
          readHistory: (fromRevision) => read({ kind: 'history', prefix, fromRevision }),
          failure: () => failure,
        },
        { prefix, ...watchOptions },
      )
    },

    async grantLease(ttlMs) {
      requireValid('granting a lease', ttlMs >= 1 ? undefined : 'its time must be at least 1 ms')
      const leaseId = randomId(deps.random, 20)
      await write({ kind: 'grant-lease', leaseId, ttlMs: Math.ceil(ttlMs) }, 0)
      leases.start(leaseId, ttlMs)
      return leaseId
    },

    async keepLeaseAlive(leaseId) {
      requireOpen()
      return leases.keepAlive(leaseId)
    },

    async revokeLease(leaseId) {
      await write({ kind: 'revoke-lease', leaseId }, 0)
      leases.end(leaseId)
    },

    async compact(revision) {
      const problem = revision > changes.head ? `the newest revision is ${changes.head}` : undefined
      requireValid(`compacting up to revision ${revision}`, problem)
      await write({ kind: 'compact', revision }, 0)
    },

    async status() {
      requireOpen()
      return {
        engine: 'sqlite',
        revision: changes.head,
        compactedRevision,
        sizeBytes: await read({ kind: 'size' }),
        commitLatencyMs: latency.medianMs,
      }
    },

    close: () => (closing ??= close()),
  }
}

type SuccessfulOutcome = Exclude<Outcome, { kind: 'failed' }>

function toFailedOutcome(reason: unknown): Outcome {
  const { code, message, details } = CloudlessError.from(reason)
  return { kind: 'failed', failure: { code, message, details } }
}

function bytesOf(transaction: Transaction): number {
  return transaction.writes.reduce(
    (total, write) => total + (write.kind === 'put' ? write.value.byteLength : 0),
    0,
  )
}
