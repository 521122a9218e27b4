/** The metadata store, with each of its operations counted and timed; it also says when it stops taking writes. */
import { CloudlessError, type Clock, type ErrorCode } from '@cloudless/base'
import type { MetadataStore } from '@cloudless/metadata'
import type { CoordinatorMetrics, MetadataOperation } from '@cloudless/observability'

export interface MeasuredStoreDeps {
  readonly clock: Clock
  readonly metrics: Pick<CoordinatorMetrics, 'metadata'>
  /** Told after every transaction: undefined when the store took it, otherwise why it could not. */
  readonly onTransaction: (failure: CloudlessError | undefined) => void
}

type Result = 'success' | 'refused' | 'failure'

export function measureStore(deps: MeasuredStoreDeps, store: MetadataStore): MetadataStore {
  const { clock, onTransaction } = deps
  const { operations, durationSeconds } = deps.metrics.metadata

  async function measured<Answer>(
    operation: MetadataOperation,
    act: () => Promise<Answer>,
    resultOf: (answer: Answer) => Result = () => 'success',
  ): Promise<Answer> {
    const startedMs = clock.monotonicMs()
    let result: Result = 'failure'
    try {
      const answer = await act()
      result = resultOf(answer)
      return answer
    } finally {
      operations.increment({ operation, result })
      durationSeconds.observe({ operation }, (clock.monotonicMs() - startedMs) / 1_000)
    }
  }

  return {
    get: (key) => measured('get', () => store.get(key)),
    list: (prefix, options) => measured('list', () => store.list(prefix, options)),
    snapshot: () => measured('list', () => store.snapshot()),
    async transact(transaction) {
      try {
        const answer = await measured(
          'transact',
          () => store.transact(transaction),
          ({ kind }) => (kind === 'committed' ? 'success' : 'refused'),
        )
        onTransaction(undefined)
        return answer
      } catch (reason) {
        const error = CloudlessError.from(reason)
        if (storeFailures.has(error.code)) onTransaction(error)
        throw reason
      }
    },
    watch(prefix, options) {
      operations.increment({ operation: 'watch', result: 'success' })
      return store.watch(prefix, options)
    },
    grantLease: (ttlMs) => measured('lease', () => store.grantLease(ttlMs)),
    keepLeaseAlive: (leaseId) => measured('lease', () => store.keepLeaseAlive(leaseId)),
    revokeLease: (leaseId) => measured('lease', () => store.revokeLease(leaseId)),
    compact: (revision) => measured('compact', () => store.compact(revision)),
    status: () => store.status(),
    close: () => store.close(),
  }
}

/** The store's own trouble; the others say something of the transaction. */
const storeFailures: ReadonlySet<ErrorCode> = new Set(['resource_exhausted', 'unavailable'])
