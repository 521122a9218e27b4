/**
 * The metadata store on etcd: the contract of `store.ts` over the members of a cluster, whichever of them answers.
 *
 * Of etcd: leases have whole seconds, and at least about two (one and a half elections); values of a list may be many, so
 * they are read in pages that all are of one revision.
 */
import { CloudlessError, type Clock } from '@cloudless/base'
import { Code, ConnectError } from '@connectrpc/connect'
import {
  problemWithKey,
  problemWithLimit,
  problemWithPrefix,
  problemWithTransaction,
  requireValid,
} from '../rules.ts'
import { copyOf } from '../sqlite/packing.ts'
import type {
  ChangeBatch,
  Entry,
  ListOptions,
  ListResult,
  MetadataStore,
  Snapshot,
  StoreStatus,
  Transaction,
  TransactionResult,
} from '../store.ts'
import { CommitLatency } from '../commit-latency.ts'
import { explainFailure, leavesOutcomeUnknown, outcomeUnknown } from './failure.ts'
import { Members, requireLeader, type CallOptions, type MembersOptions } from './members.ts'
import { bytesOfKey, entryOf, rangeOf, requestOfAll, resultsOfAll } from './transaction.ts'
import { TransactionQueue } from './transaction-queue.ts'
import { compactedRevisionOf, watchMembers } from './watch.ts'

export interface EtcdStoreDeps {
  readonly clock: Clock
}

export interface EtcdStoreOptions extends MembersOptions {
  /** How long a call waits for a cluster that has no leader, or is not there; 10 s when not given. */
  readonly callMsMax?: number
}

const callMsMaxDefault = 10_000
/** What was lost in an election of RAFT is answered after seconds: a store that closes does not wait for that. */
const lastAnswersMsMax = 1_000
const pageEntries = 5_000

export function createEtcdStore(deps: EtcdStoreDeps, options: EtcdStoreOptions): MetadataStore {
  return new EtcdStore(deps, options)
}

class EtcdStore implements MetadataStore {
  readonly #clock: Clock
  readonly #members: Members
  readonly #callMsMax: number
  readonly #closing = new AbortController()
  /** Of calls that are under way. */
  readonly #givingUp = new AbortController()
  readonly #begun = new Set<Promise<unknown>>()
  readonly #latency = new CommitLatency()
  readonly #queue: TransactionQueue
  #isClosed = false

  constructor({ clock }: EtcdStoreDeps, options: EtcdStoreOptions) {
    this.#clock = clock
    this.#queue = new TransactionQueue(clock, (transactions) => this.#commit(transactions))
    this.#members = new Members(clock, options)
    this.#callMsMax = options.callMsMax ?? callMsMaxDefault
  }

  async get(key: string): Promise<Entry | undefined> {
    requireValid(`reading key ${JSON.stringify(key)}`, problemWithKey(key))
    const { kvs } = await this.#read('reading from', ({ kv }, call) =>
      kv.range({ key: bytesOfKey(key) }, call),
    )
    return kvs[0] && entryOf(kvs[0])
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    return this.#listAt(0, prefix, options)
  }

  async snapshot(): Promise<Snapshot> {
    const { revision } = await this.list('', { limit: 1 })
    let isOpen = true
    return {
      revision,
      list: async (prefix, options = {}) => {
        if (!isOpen) {
          throw new CloudlessError('unavailable', 'the snapshot of the metadata store is closed')
        }
        return this.#listAt(revision, prefix, options)
      },
      close: async () => {
        isOpen = false
      },
    }
  }

  /** At revision 0: as it is now, all pages as the first. */
  async #listAt(
    atRevision: number,
    prefix: string,
    { limit, afterKey }: ListOptions,
  ): Promise<ListResult> {
    requireValid(`listing prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
    requireValid('listing with a limit', problemWithLimit(limit))
    const entries: Entry[] = []
    let revision = atRevision
    let more = true
    while (more && entries.length < (limit ?? Number.POSITIVE_INFINITY)) {
      const page = Math.min(pageEntries, (limit ?? Number.POSITIVE_INFINITY) - entries.length)
      const range = rangeOf(prefix, entries.at(-1)?.key ?? afterKey)
      const request = { ...range, limit: BigInt(page), revision: BigInt(revision) }
      const answer = await this.#read('reading from', ({ kv }, call) => kv.range(request, call))
      entries.push(...answer.kvs.map(entryOf))
      revision ||= Number(answer.header!.revision)
      more = answer.more
    }
    return { entries, revision, more }
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    requireValid('writing to the metadata store', problemWithTransaction(transaction))
    const startMs = this.#clock.monotonicMs()
    // Made before anything is waited for: the caller may use its buffers again.
    const own = copyOf(transaction)
    this.#requireOpen()
    const result = await this.#until(this.#queue.transact(own))
    this.#latency.add(this.#clock.monotonicMs() - startMs)
    return result
  }

  async #commit(transactions: readonly Transaction[]): Promise<readonly TransactionResult[]> {
    const request = requestOfAll(transactions)
    const call = ({ kv }: Members['current'], options: CallOptions) => kv.txn(request, options)
    const response = await this.#ask('writing to', call, true)
    return resultsOfAll(transactions, response)
  }

  async *watch(
    prefix: string,
    options: { readonly fromRevision: number; readonly signal: AbortSignal },
  ): AsyncGenerator<ChangeBatch, undefined> {
    this.#requireOpen()
    requireValid(`watching prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    const sources = { members: this.#members, clock: this.#clock }
    yield* watchMembers(sources, prefix, { ...options, signal })
    if (!options.signal.aborted) throw closed()
    return undefined
  }

  async grantLease(ttlMs: number): Promise<string> {
    const request = { TTL: BigInt(Math.max(1, Math.ceil(ttlMs / 1_000))) }
    const { ID } = await this.#change('taking a lease in', ({ lease }, call) =>
      lease.leaseGrant(request, call),
    )
    return String(ID)
  }

  async keepLeaseAlive(leaseId: string): Promise<boolean> {
    const ID = BigInt(leaseId)
    return this.#read('keeping a lease in', async ({ kv, lease }, call) => {
      async function* once() {
        yield { ID }
      }
      // To its end: a stream that is left before has its time limit, and keeps the process from ending, until that is over.
      const [kept] = await Array.fromAsync(lease.leaseKeepAlive(once(), call))
      if (kept === undefined || kept.TTL <= 0n) return false
      // RAFT's leader keeps leases by its own word, also when it has lost the others and does not know it yet. A majority
      // that answers a read after that, in the same term, says that it was the leader.
      const read = await kv.range({ key: bytesOfKey('leases'), countOnly: true }, call)
      if (read.header!.raftTerm === kept.header!.raftTerm) return true
      throw new ConnectError('RAFT has elected another leader meanwhile', Code.Unavailable)
    })
  }

  async revokeLease(leaseId: string): Promise<void> {
    const request = { ID: BigInt(leaseId) }
    // Twice is as good as once: the second finds none.
    await this.#read('ending a lease in', async ({ lease }, call) => {
      try {
        await lease.leaseRevoke(request, call)
      } catch (reason) {
        if (ConnectError.from(reason).code !== Code.NotFound) throw reason
      }
    })
  }

  async compact(revision: number): Promise<void> {
    const request = { revision: BigInt(revision), physical: true }
    await this.#read('compacting', async ({ kv }, call) => {
      try {
        await kv.compact(request, call)
      } catch (reason) {
        if (!ConnectError.from(reason).rawMessage.includes('has been compacted')) throw reason
      }
    })
  }

  async status(): Promise<StoreStatus> {
    return this.#read('asking', async (member, call) => {
      const { signal, timeoutMs } = call
      // Of the member itself: it needs no leader for that.
      const { header, dbSize } = await member.maintenance.status({}, { signal, timeoutMs })
      return {
        engine: 'etcd',
        revision: Number(header!.revision),
        compactedRevision: await compactedRevisionOf(member, signal),
        sizeBytes: Number(dbSize),
        commitLatencyMs: this.#latency.medianMs,
      }
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#closing.abort()
    const cancel = this.#clock.after(lastAnswersMsMax, () => this.#givingUp.abort())
    await Promise.allSettled(this.#begun)
    cancel()
    this.#members.close()
  }

  async #read<T>(
    attempt: string,
    call: (member: Members['current'], options: CallOptions) => Promise<T>,
  ): Promise<T> {
    this.#requireOpen()
    return this.#until(this.#ask(attempt, call, false))
  }

  async #change<T>(
    attempt: string,
    call: (member: Members['current'], options: CallOptions) => Promise<T>,
  ): Promise<T> {
    this.#requireOpen()
    return this.#until(this.#ask(attempt, call, true))
  }

  /** What was begun is waited for when the store closes. */
  async #until<T>(answer: Promise<T>): Promise<T> {
    this.#begun.add(answer)
    try {
      return await answer
    } finally {
      this.#begun.delete(answer)
    }
  }

  async #ask<T>(
    attempt: string,
    call: (member: Members['current'], options: CallOptions) => Promise<T>,
    isChange: boolean,
  ): Promise<T> {
    const members = this.#members
    const failed = { attempt, members: members.addresses }
    const timeoutMs = this.#callMsMax
    const { signal } = this.#givingUp
    try {
      return await (isChange
        ? members.change(call, { timeoutMs, signal, headers: requireLeader })
        : members.read(call, { timeoutMs, signal, headers: requireLeader }))
    } catch (reason) {
      if (isChange && leavesOutcomeUnknown(reason)) throw outcomeUnknown(reason, failed)
      throw explainFailure(reason, failed)
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw closed()
  }
}

function closed(): CloudlessError {
  return new CloudlessError('unavailable', 'the metadata store is closed')
}
