/**
 * The metadata store for what only the leader may do: each transaction is committed only if the term it began in is still
 * the newest. Reads and watches go through as they are.
 */
import { CloudlessError, type Clock } from '@cloudless/base'
import {
  withTransact,
  type MetadataStore,
  type Transaction,
  type TransactionResult,
} from '@cloudless/metadata'
import { leadsNoLonger, type Term } from './term.ts'

export interface FencedStore extends MetadataStore {
  /** The term that transactions belong to from now on; none: they are refused. */
  enter(term: Term | undefined): void
}

interface FencedStoreDeps {
  readonly clock: Clock
  readonly store: MetadataStore
}

/**
 * What is under way when its term ends is about to be answered, most of the time. What the store lost in an election of its
 * own is answered after seconds, and nobody else leads before everything of this term has stopped: it is given up.
 */
const lastAnswersMsMax = 500

export function fencedStore(deps: FencedStoreDeps): FencedStore {
  let current: WritesOfTerm | undefined
  return {
    ...withTransact(deps.store, async (transaction) => {
      if (current === undefined) throw notLeading()
      return current.transact(transaction)
    }),
    enter: (term) => {
      current = term && new WritesOfTerm(deps, term)
    },
  }
}

class WritesOfTerm {
  readonly #store: MetadataStore
  readonly #term: Term
  readonly #underWay = new Set<(reason: CloudlessError) => void>()

  constructor({ clock, store }: FencedStoreDeps, term: Term) {
    this.#store = store
    this.#term = term
    const giveUp = (): void => {
      for (const reject of this.#underWay) reject(outcomeUnknown())
    }
    const end = (): void => {
      if (this.#underWay.size > 0) clock.after(lastAnswersMsMax, giveUp)
    }
    term.signal.addEventListener('abort', end, { once: true })
  }

  /**
   * `unavailable` with details.reason "not_leader" when nothing was written because the term is over, with details.outcome
   * "unknown" when it ended before the store has answered: nothing more of it is committed once another term has begun.
   */
  async transact(transaction: Transaction): Promise<TransactionResult> {
    const { guard, signal } = this.#term
    if (signal.aborted) throw CloudlessError.from(signal.reason)
    const preconditions = [guard, ...(transaction.preconditions ?? [])]
    const result = await this.#untilGivenUp(this.#store.transact({ ...transaction, preconditions }))
    if (result.kind === 'committed' || result.failed.key !== guard.key) return result
    const ended = leadsNoLonger('another one was elected')
    this.#term.end(ended)
    throw ended
  }

  async #untilGivenUp<T>(answer: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#underWay.add(reject)
    answer.then(resolve, reject)
    try {
      return await promise
    } finally {
      this.#underWay.delete(reject)
    }
  }
}

function notLeading(): CloudlessError {
  return new CloudlessError('unavailable', 'this coordinator does not lead', {
    details: { reason: 'not_leader' },
  })
}

function outcomeUnknown(): CloudlessError {
  const message = 'this coordinator leads no longer; it is not known whether the write was done'
  return new CloudlessError('unavailable', message, { details: { outcome: 'unknown' } })
}
