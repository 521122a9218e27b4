/** What has had its time is forgotten: removed nodes whose certificates have run out, old idempotency keys. */
import { every, type Clock } from '@cloudless/base'
import type { Reporter } from '../controllers/reporter.ts'
import type { Idempotency } from '../server/idempotency.ts'
import { deleteRecord, type ClusterState } from '../state/cluster-state.ts'

export interface SweepDeps {
  readonly clock: Clock
  readonly state: ClusterState
  readonly idempotency: Idempotency
  readonly report: Reporter
}

const sweepPeriodMs = 600_000

/** Sweeps every ten minutes until the returned function is called. */
export function sweepNowAndThen(deps: SweepDeps): () => void {
  return every(deps.clock, sweepPeriodMs, () => {
    const nowMs = BigInt(deps.clock.wallMs())
    const expired = [...deps.state.all('removed')].filter((h) => h.record.expiresAtMs <= nowMs)
    const writes = expired.map(({ id }) => deleteRecord('removed', id))
    const swept = writes.length > 0 ? deps.state.write({ writes }) : Promise.resolve()
    Promise.all([swept, deps.idempotency.sweep()]).catch((reason: unknown) =>
      deps.report.error('forgetting what has expired', reason),
    )
  })
}
