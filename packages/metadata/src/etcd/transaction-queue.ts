/** Sends transactions to etcd, those that wait for their turn together. */
import type { Clock } from '@cloudless/base'
import type { Transaction, TransactionResult } from '../store.ts'
import { chooseBatch } from './commit-together.ts'

/** Carries out all of them as one; their outcomes in order. What it throws is the outcome of each. */
export type Commit = (transactions: readonly Transaction[]) => Promise<readonly TransactionResult[]>

/** More would only wait in etcd, where they cannot be put together. */
const underWayMax = 2
/**
 * One that is under way for longer holds up nobody any more: what reached etcd while it had no leader may be lost in it, and
 * is answered after seconds.
 */
const overdueMs = 100
/** Of those as well. */
const overdueMax = 32

interface Waiting {
  readonly transaction: Transaction
  readonly resolve: (result: TransactionResult) => void
  readonly reject: (reason: unknown) => void
}

export class TransactionQueue {
  readonly #clock: Clock
  readonly #commit: Commit
  #waiting: Waiting[] = []
  #underWay = 0
  #overdue = 0
  #isDue = false

  constructor(clock: Clock, commit: Commit) {
    this.#clock = clock
    this.#commit = commit
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ transaction, resolve, reject })
      if (this.#isDue) return
      // What comes in the same turn of the event loop goes together.
      this.#isDue = true
      setImmediate(() => {
        this.#isDue = false
        this.#sendSome()
      })
    })
  }

  #sendSome(): void {
    while (this.#waiting.length > 0 && this.#underWay < underWayMax) {
      const places = new Set(chooseBatch(this.#waiting.map(({ transaction }) => transaction)))
      const batch = this.#waiting.filter((_, place) => places.has(place))
      this.#waiting = this.#waiting.filter((_, place) => !places.has(place))
      void this.#send(batch)
    }
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    this.#underWay++
    let isOverdue = false
    const cancel = this.#clock.after(overdueMs, () => {
      if (this.#overdue >= overdueMax) return
      isOverdue = true
      this.#overdue++
      this.#underWay--
      this.#sendSome()
    })
    try {
      const results = await this.#commit(batch.map(({ transaction }) => transaction))
      for (const [n, { resolve }] of batch.entries()) resolve(results[n]!)
    } catch (reason) {
      for (const { reject } of batch) reject(reason)
    }
    cancel()
    if (isOverdue) this.#overdue--
    else this.#underWay--
    this.#sendSome()
  }
}
