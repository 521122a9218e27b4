/**
 * The metadata store as one of several coordinators reaches it: over a way that takes time and can be cut. What was sent
 * before a cut may have been done although no answer comes, and is then `unavailable` with the outcome unknown.
 */
import { between, CloudlessError, sleep, type Random } from '@cloudless/base'
import type {
  ChangeBatch,
  MetadataStore,
  Transaction,
  TransactionResult,
} from '@cloudless/metadata'
import type { ProcessClock } from './process-clock.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface RemoteStoreDeps {
  readonly world: VirtualClock
  /** Of the process that asks. */
  readonly clock: ProcessClock
  readonly random: Random
  readonly store: MetadataStore
}

/** One way, milliseconds. */
const delayMsMin = 0.2
const delayMsMax = 20
/** Some requests arrive when their sender has been given up long since. */
const lateShare = 0.01
const lateMsMax = 6_000
const timeoutMs = 3_000
const cutMs = 50

export class RemoteStore implements MetadataStore {
  readonly #deps: RemoteStoreDeps
  /** Nothing gets through. */
  isCut = false

  constructor(deps: RemoteStoreDeps) {
    this.#deps = deps
  }

  get(key: string) {
    return this.#ask((store) => store.get(key))
  }

  snapshot() {
    return this.#ask((store) => store.snapshot())
  }

  list(...asked: Parameters<MetadataStore['list']>) {
    return this.#ask((store) => store.list(...asked))
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return this.#ask((store) => store.transact(transaction), { outcome: 'unknown' })
  }

  grantLease(ttlMs: number) {
    return this.#ask((store) => store.grantLease(ttlMs), { outcome: 'unknown' })
  }

  keepLeaseAlive(leaseId: string) {
    return this.#ask((store) => store.keepLeaseAlive(leaseId))
  }

  revokeLease(leaseId: string) {
    return this.#ask((store) => store.revokeLease(leaseId))
  }

  compact(revision: number) {
    return this.#ask((store) => store.compact(revision))
  }

  status() {
    return this.#ask((store) => store.status())
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** What comes during a cut is late, and still comes in order. */
  async *watch(...asked: Parameters<MetadataStore['watch']>): AsyncGenerator<ChangeBatch> {
    for await (const batch of this.#deps.store.watch(...asked)) {
      await this.#way()
      while (this.isCut) await this.#pass(cutMs)
      yield batch
    }
  }

  async #ask<T>(
    call: (store: MetadataStore) => Promise<T>,
    details: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const { random, world } = this.#deps
    // What has been sent is on its way, whatever becomes of its sender.
    const isLate = random.next() < lateShare
    await sleep(
      world,
      isLate ? between(random, 0, lateMsMax) : between(random, delayMsMin, delayMsMax),
    )
    if (this.isCut) throw await this.#noAnswer({})
    const answer = call(this.#deps.store)
    answer.catch(() => undefined) // Perhaps nobody is there to hear of it.
    await this.#way()
    if (this.isCut) throw await this.#noAnswer(details)
    return answer
  }

  async #noAnswer(details: Readonly<Record<string, string>>): Promise<CloudlessError> {
    await this.#pass(timeoutMs)
    return new CloudlessError('unavailable', 'the metadata store did not answer', { details })
  }

  #way(): Promise<void> {
    return this.#pass(between(this.#deps.random, delayMsMin, delayMsMax))
  }

  /** Arrives at the process, which may be held up or dead by then. */
  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.arrive(ms, resolve))
  }
}
