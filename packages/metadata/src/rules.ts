/** What every engine of the store holds its callers to: the shape of keys, values and transactions. Pure. */
import { CloudlessError } from '@cloudless/base'
import type { Precondition, Transaction, Write } from './store.ts'

export const keyBytesMax = 1024
export const valueBytesMax = 1024 * 1024
/**
 * Limits of one transaction, kept everywhere, so that moving from SQLite to etcd breaks nothing: etcd takes 128 operations
 * and 1.5 MiB unless it is told otherwise, and ours is started by us (docs/decisions/0013).
 */
export const operationsPerTransactionMax = 1024
export const transactionBytesMax = 8 * 1024 * 1024

const keyShape = /^[\x21-\x7e]+$/
const prefixShape = /^[\x21-\x7e]*$/

/** Undefined when `key` may be a key; otherwise what is wrong with it. */
export function problemWithKey(key: string): string | undefined {
  if (key === '') return 'must not be empty'
  if (key.length > keyBytesMax) return `must have at most ${keyBytesMax} characters`
  if (!keyShape.test(key)) return 'must consist of printable ASCII without spaces'
  return undefined
}

/** Undefined when `prefix` may be a prefix (the empty one is all keys); otherwise what is wrong with it. */
export function problemWithPrefix(prefix: string): string | undefined {
  if (prefix.length > keyBytesMax) return `must have at most ${keyBytesMax} characters`
  if (!prefixShape.test(prefix)) return 'must consist of printable ASCII without spaces'
  return undefined
}

/** Undefined when a list may be cut after so many; otherwise what is wrong with it. */
export function problemWithLimit(limit: number | undefined): string | undefined {
  if (limit === undefined || (Number.isInteger(limit) && limit > 0)) return undefined
  return 'it must be a whole number above 0'
}

/**
 * Undefined when the transaction may be tried; otherwise what is wrong with it. No key is written twice in one
 * transaction, not even by a prefix that covers it: engines differ in which of the two would win.
 */
export function problemWithTransaction(transaction: Transaction): string | undefined {
  const preconditions = transaction.preconditions ?? []
  const operations = Math.max(preconditions.length, transaction.writes.length)
  if (operations > operationsPerTransactionMax) {
    return (
      `a transaction has at most ${operationsPerTransactionMax} preconditions and as many writes, ` +
      `this one has ${operations}; split it`
    )
  }
  const bytes = bytesOf(transaction)
  if (bytes > transactionBytesMax) {
    return (
      `the keys and values of a transaction have at most ${transactionBytesMax} bytes, ` +
      `this one's have ${bytes}; split it`
    )
  }
  return (
    firstProblem(preconditions, problemWithPrecondition) ??
    firstProblem(transaction.writes, problemWithWrite) ??
    problemWithOverlap(transaction.writes)
  )
}

/** Throws `invalid_argument` for the caller's mistake. */
export function requireValid(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new CloudlessError('invalid_argument', `${what}: ${problem}`)
}

/** The first key after all that start with `prefix`: keys are printable ASCII, below 0x7f. */
export function endOfPrefix(prefix: string): string {
  return `${prefix}\x7f`
}

function bytesOf({ preconditions = [], writes }: Transaction): number {
  let bytes = 0
  for (const { key } of preconditions) bytes += key.length
  for (const write of writes) {
    bytes += write.kind === 'delete-prefix' ? write.prefix.length : write.key.length
    if (write.kind === 'put') bytes += write.value.byteLength
  }
  return bytes
}

function firstProblem<T>(
  items: readonly T[],
  problemWith: (item: T) => string | undefined,
): string | undefined {
  for (const item of items) {
    const problem = problemWith(item)
    if (problem !== undefined) return problem
  }
  return undefined
}

function problemWithPrecondition(precondition: Precondition): string | undefined {
  const problem = problemWithKey(precondition.key)
  return problem && `key ${quote(precondition.key)} of a precondition ${problem}`
}

function problemWithWrite(write: Write): string | undefined {
  if (write.kind === 'delete-prefix') {
    const problem = problemWithPrefix(write.prefix)
    return problem && `prefix ${quote(write.prefix)} ${problem}`
  }
  const problem = problemWithKey(write.key)
  if (problem !== undefined) return `key ${quote(write.key)} ${problem}`
  if (write.kind === 'put' && write.value.byteLength > valueBytesMax) {
    return (
      `the value of ${quote(write.key)} has ${write.value.byteLength} bytes, ` +
      `at most ${valueBytesMax} are stored under one key`
    )
  }
  return undefined
}

function problemWithOverlap(writes: readonly Write[]): string | undefined {
  const keys = new Set<string>()
  const prefixes: string[] = []
  for (const write of writes) {
    if (write.kind === 'delete-prefix') {
      prefixes.push(write.prefix)
      continue
    }
    if (keys.has(write.key)) return `key ${quote(write.key)} is written twice in one transaction`
    keys.add(write.key)
  }
  for (const prefix of prefixes) {
    for (const key of keys) {
      if (key.startsWith(prefix)) {
        return `key ${quote(key)} is written, and deleted with prefix ${quote(prefix)}`
      }
    }
  }
  return undefined
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text)
}
