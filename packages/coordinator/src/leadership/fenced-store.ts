/**
 * The metadata store for what only the leader may do: each transaction is committed only if the term it began in is still
 * the newest. Reads and watches go through as they are.
 */
import { CloudlessError } from '@cloudless/base'
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

export function fencedStore(store: MetadataStore): FencedStore {
  let current: Term | undefined
  return {
    ...withTransact(store, (transaction) => transactWithin(store, current, transaction)),
    enter: (term) => {
      current = term
    },
  }
}

/** `unavailable` with details.reason "not_leader" when nothing was written because the term is over. */
async function transactWithin(
  store: MetadataStore,
  term: Term | undefined,
  transaction: Transaction,
): Promise<TransactionResult> {
  if (term === undefined) throw notLeading()
  if (term.signal.aborted) throw CloudlessError.from(term.signal.reason)
  const { guard } = term
  const preconditions = [guard, ...(transaction.preconditions ?? [])]
  const result = await store.transact({ ...transaction, preconditions })
  if (result.kind === 'committed' || result.failed.key !== guard.key) return result
  const ended = leadsNoLonger('another one was elected')
  term.end(ended)
  throw ended
}

function notLeading(): CloudlessError {
  return new CloudlessError('unavailable', 'this coordinator does not lead', {
    details: { reason: 'not_leader' },
  })
}
