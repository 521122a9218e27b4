/** The metadata store as one process of the coordinator has it open: the contract of the real one over a simulated disk. */
import { CloudlessError, randomId, sleep, type Clock, type Random } from '@cloudless/base'
import type {
  ChangeBatch,
  Entry,
  ListOptions,
  ListResult,
  MetadataStore,
  Snapshot,
  Transaction,
} from '@cloudless/metadata'
import {
  copyOf,
  createWatch,
  LeaseTimers,
  problemWithKey,
  problemWithLimit,
  problemWithPrefix,
  problemWithTransaction,
  RecentChanges,
  requireValid,
  type HistoryPage,
} from '@cloudless/metadata/engine'
import type { SimulatedDisk, StoreOperation, StoreOutcome } from './simulated-disk.ts'

export interface SimulatedStoreDeps {
  /** Of the process: when it dies, nothing of the store goes on. */
  readonly clock: Clock
  readonly random: Random
  readonly disk: SimulatedDisk
}

const recentOptions = { changesMax: 20_000, bytesMax: 8 * 1024 * 1024 }
const readMs = 0.2
/** A lease whose end could not be written is tried again after this. */
const leaseRetryMs = 1_000

interface Waiting {
  readonly operation: StoreOperation
  readonly resolve: (outcome: StoreOutcome) => void
  readonly reject: (error: CloudlessError) => void
}

export class SimulatedStore implements MetadataStore {
  readonly #deps: SimulatedStoreDeps
  readonly #recent: RecentChanges
  readonly #leases: LeaseTimers
  #waiting: Waiting[] = []
  #writing = false
  #idle = Promise.withResolvers<void>()
  #failure: CloudlessError | undefined
  #commitMs = 0

  constructor(deps: SimulatedStoreDeps) {
    this.#deps = deps
    this.#recent = new RecentChanges(deps.disk.revision, recentOptions)
    this.#leases = new LeaseTimers(deps.clock, (leaseId) => void this.#endLease(leaseId))
    for (const [leaseId, ttlMs] of deps.disk.leases) this.#leases.start(leaseId, ttlMs)
    this.#idle.resolve()
  }

  async get(key: string) {
    this.#requireOpen()
    requireValid(`reading key ${JSON.stringify(key)}`, problemWithKey(key))
    await sleep(this.#deps.clock, readMs)
    return this.#deps.disk.get(key)
  }

  async list(prefix: string, { limit, afterKey = '' }: ListOptions = {}): Promise<ListResult> {
    this.#requireOpen()
    requireValid(`listing prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
    requireValid('listing with a limit', problemWithLimit(limit))
    await sleep(this.#deps.clock, readMs)
    const { disk } = this.#deps
    const entries = disk.keys().map((key) => disk.get(key)!)
    return pageOf(entries, disk.revision, { prefix, limit, afterKey })
  }

  async snapshot(): Promise<Snapshot> {
    this.#requireOpen()
    const { revision } = this.#deps.disk
    let isOpen = true
    const all = this.#deps.disk.keys().map((key) => this.#deps.disk.get(key)!)
    return {
      revision,
      list: async (prefix, { limit, afterKey = '' } = {}) => {
        if (!isOpen) throw new CloudlessError('unavailable', 'the snapshot is closed')
        await sleep(this.#deps.clock, readMs)
        return pageOf(all, revision, { prefix, limit, afterKey })
      },
      close: async () => {
        isOpen = false
      },
    }
  }

  async transact(transaction: Transaction) {
    requireValid('writing to the metadata store', problemWithTransaction(transaction))
    const outcome = await this.#write({ kind: 'transact', transaction: copyOf(transaction) })
    if (outcome.kind !== 'lease-gone') return outcome
    throw new CloudlessError('failed_precondition', `the lease ${outcome.leaseId} has ended`)
  }

  watch(
    prefix: string,
    options: { readonly fromRevision: number; readonly signal: AbortSignal },
  ): AsyncIterable<ChangeBatch> {
    this.#requireOpen()
    requireValid(`watching prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
    return createWatch(
      {
        recent: this.#recent,
        readHistory: (fromRevision) => this.#readHistory(prefix, fromRevision),
        failure: () => this.#failure,
      },
      { prefix, ...options },
    )
  }

  async grantLease(ttlMs: number): Promise<string> {
    requireValid('granting a lease', ttlMs >= 1 ? undefined : 'its time must be at least 1 ms')
    const leaseId = randomId(this.#deps.random, 20)
    await this.#write({ kind: 'grant-lease', leaseId, ttlMs: Math.ceil(ttlMs) })
    this.#leases.start(leaseId, ttlMs)
    return leaseId
  }

  async keepLeaseAlive(leaseId: string): Promise<boolean> {
    this.#requireOpen()
    return this.#leases.keepAlive(leaseId)
  }

  async revokeLease(leaseId: string): Promise<void> {
    await this.#write({ kind: 'revoke-lease', leaseId })
    this.#leases.end(leaseId)
  }

  async compact(revision: number): Promise<void> {
    const { disk } = this.#deps
    const problem = revision > disk.revision ? `the newest revision is ${disk.revision}` : undefined
    requireValid(`compacting up to revision ${revision}`, problem)
    await this.#write({ kind: 'compact', revision })
    this.#recent.forgetBefore(revision)
  }

  async status() {
    this.#requireOpen()
    const { revision, compactedRevision, sizeBytes } = this.#deps.disk
    const commitLatencyMs = this.#commitMs
    return { engine: 'sqlite', revision, compactedRevision, sizeBytes, commitLatencyMs } as const
  }

  async close(): Promise<void> {
    this.#failure ??= new CloudlessError('unavailable', 'the metadata store is closed')
    this.#leases.stop()
    await this.#idle.promise
    this.#recent.wakeAll()
  }

  #requireOpen(): void {
    if (this.#failure) throw this.#failure
  }

  #write(operation: StoreOperation): Promise<StoreOutcome> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve, reject })
      if (!this.#writing) this.#commit()
    })
  }

  /** All that waits, with one sync. */
  #commit(): void {
    const { clock, disk } = this.#deps
    if (!this.#writing) this.#idle = Promise.withResolvers()
    this.#writing = true
    const group = this.#waiting
    this.#waiting = []
    this.#commitMs = disk.beginSync(
      group.map(({ operation }) => operation),
      clock.monotonicMs(),
    )
    clock.after(this.#commitMs, () => {
      this.#conclude(group)
      if (this.#waiting.length > 0) return this.#commit()
      this.#writing = false
      this.#idle.resolve()
    })
  }

  #conclude(group: readonly Waiting[]): void {
    const { disk } = this.#deps
    if (disk.isFull) {
      disk.failSync()
      const full = 'the disk is full: nothing was written'
      for (const { reject } of group) reject(new CloudlessError('resource_exhausted', full))
      return
    }
    const { outcomes, commits } = disk.endSync()
    for (const { revision, changes } of commits) this.#recent.push(revision, changes)
    for (const [n, { resolve }] of group.entries()) resolve(outcomes[n]!)
  }

  async #readHistory(prefix: string, fromRevision: number): Promise<HistoryPage> {
    await sleep(this.#deps.clock, readMs)
    const { disk } = this.#deps
    const changes = disk
      .changesAfter(fromRevision)
      .flatMap((committed) => committed.changes)
      .filter((change) =>
        (change.kind === 'put' ? change.entry.key : change.key).startsWith(prefix),
      )
    return { changes, revision: disk.revision, compactedRevision: disk.compactedRevision }
  }

  async #endLease(leaseId: string): Promise<void> {
    if (this.#failure) return
    const ended = this.#write({ kind: 'revoke-lease', leaseId })
    await ended.catch(() => this.#leases.start(leaseId, leaseRetryMs)) // Its keys must go some time.
  }
}

interface Page {
  readonly prefix: string
  readonly limit: number | undefined
  readonly afterKey: string
}

function pageOf(
  all: readonly Entry[],
  revision: number,
  { prefix, limit, afterKey }: Page,
): ListResult {
  const matching = all.filter(({ key }) => key.startsWith(prefix) && key > afterKey)
  const entries = matching.slice(0, limit)
  return { entries, revision, more: entries.length < matching.length }
}
