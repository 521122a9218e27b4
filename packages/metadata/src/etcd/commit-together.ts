/**
 * Transactions that wait at the same time, sent to etcd as one: its price is that of a call, whatever is in it.
 *
 * Each stays a transaction of its own, with its own preconditions and its own outcome. etcd judges the preconditions of all
 * of them before it carries out any, so those that go together must not see each other: none reads or writes what one
 * before it writes. One that does waits for the next turn. Those that are under a lease go alone, because a lease that has
 * ended fails everything it is sent with.
 */
import type { Transaction } from '../store.ts'

export interface BatchLimits {
  readonly transactionsMax: number
  readonly bytesMax: number
}

export const batchLimits: BatchLimits = { transactionsMax: 128, bytesMax: 1024 * 1024 }

/**
 * How many of those that wait, from the first on, may go together: their places in order. Never none of some.
 * A later one that cannot go does not hold up those after it, unless they touch what it writes or read.
 */
export function chooseBatch(
  waiting: readonly Transaction[],
  limits: BatchLimits = batchLimits,
): number[] {
  const touched = new Footprint()
  const chosen: number[] = []
  let bytes = 0
  for (const [place, transaction] of waiting.entries()) {
    if (chosen.length >= limits.transactionsMax) break
    const isAlone = hasLease(transaction)
    if (isAlone && chosen.length > 0) break
    const size = bytesOf(transaction)
    const fits = chosen.length === 0 || bytes + size <= limits.bytesMax
    if (!fits) break
    if (touched.meets(transaction)) {
      touched.leave(transaction)
      continue
    }
    touched.take(transaction)
    chosen.push(place)
    bytes += size
    if (isAlone) break
  }
  return chosen
}

function hasLease({ writes }: Transaction): boolean {
  return writes.some((write) => write.kind === 'put' && write.leaseId !== undefined)
}

function bytesOf({ preconditions = [], writes }: Transaction): number {
  let bytes = 64 * preconditions.length
  for (const write of writes) bytes += write.kind === 'put' ? write.value.byteLength + 128 : 128
  return bytes
}

/** What some transactions read and write. */
class Footprint {
  readonly #read = new Set<string>()
  readonly #written = new Set<string>()
  readonly #prefixes: string[] = []

  /** Whether the transaction touches what is written, or writes what those that were left behind read. */
  meets({ preconditions = [], writes }: Transaction): boolean {
    return (
      preconditions.some(({ key }) => this.#isWritten(key)) ||
      writes.some((write) =>
        write.kind === 'delete-prefix'
          ? this.#isTouchedBelow(write.prefix)
          : this.#isWritten(write.key) || this.#read.has(write.key),
      )
    )
  }

  take({ writes }: Transaction): void {
    for (const write of writes) {
      if (write.kind === 'delete-prefix') this.#prefixes.push(write.prefix)
      else this.#written.add(write.key)
    }
  }

  /** It goes later: what it reads must be as it is now until then. */
  leave(transaction: Transaction): void {
    this.take(transaction)
    for (const { key } of transaction.preconditions ?? []) this.#read.add(key)
  }

  #isWritten(key: string): boolean {
    return this.#written.has(key) || this.#prefixes.some((prefix) => key.startsWith(prefix))
  }

  #isTouchedBelow(prefix: string): boolean {
    const isBelow = (key: string): boolean => key.startsWith(prefix)
    return (
      [...this.#written].some(isBelow) ||
      [...this.#read].some(isBelow) ||
      this.#prefixes.some((other) => other.startsWith(prefix) || prefix.startsWith(other))
    )
  }
}
