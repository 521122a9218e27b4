/**
 * The metadata store for what only the leader may do: each transaction is committed only if the term it began in is still
 * the newest. Reads and watches go through as they are.
 */
import { CloudlessError } from '@cloudless/base'
import type { MetadataStore, Transaction, TransactionResult } from '@cloudless/metadata'
import { leadsNoLonger, type Term } from './term.ts'

export interface FencedStore extends MetadataStore {
  /** The term that transactions belong to from now on; none: they are refused. */
  enter(term: Term | undefined): void
}

export function fencedStore(store: MetadataStore): FencedStore {
  let current: Term | undefined
  return {
    enter: (term) => {
      current = term
    },
    transact: (transaction) => transactWithin(store, current, transaction),
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    snapshot: () => store.snapshot(),
    watch: (prefix, options) => store.watch(prefix, options),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepLeaseAlive: (leaseId) => store.keepLeaseAlive(leaseId),
    revokeLease: (leaseId) => store.revokeLease(leaseId),
    compact: (revision) => store.compact(revision),
    status: () => store.status(),
    close: () => store.close(),
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
