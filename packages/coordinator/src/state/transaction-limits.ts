/** How much controllers and handlers put into one transaction; larger plans are carried out in several. */
import { operationsPerTransactionMax, transactionBytesMax } from '@cloudless/metadata'

/** Beside the records of a plan: the node or workload it is about, claims of names, a stored answer. */
const othersMax = 16
const othersBytesMax = 1024 * 1024
/** What a change adds to a record at most: what an agent says of it, why it waits; and its key. */
const grownBytesMax = 4 * 1024

/** Records changed by one transaction, each with a precondition of its own. */
export const recordsPerTransactionMax: number = operationsPerTransactionMax - othersMax

/** What is left of a transaction for the records of a plan. */
export class TransactionRoom {
  #records: number
  #bytes = transactionBytesMax - othersBytesMax
  #isEmpty = true

  constructor(recordsMax: number = recordsPerTransactionMax) {
    this.#records = recordsMax
  }

  /** Whether a record that has so many bytes now still fits; if so, its room is taken. The first always does. */
  takes(recordBytes: number): boolean {
    const bytes = recordBytes + grownBytesMax
    if (!this.#isEmpty && (this.#records < 1 || this.#bytes < bytes)) return false
    this.#isEmpty = false
    this.#records--
    this.#bytes -= bytes
    return true
  }
}

/** As many records, from the first, as one transaction takes. */
export function firstThatFit<R extends { readonly bytes: number }>(records: readonly R[]): R[] {
  const room = new TransactionRoom()
  const end = records.findIndex(({ bytes }) => !room.takes(bytes))
  return end === -1 ? [...records] : records.slice(0, end)
}
