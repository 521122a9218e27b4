/**
 * A replica whose node is away is replaced no sooner than its workload's `on_disconnect` says, and one that is to be kept
 * never is.
 *
 * Told by the times on the two records, so that a clock that jumps in between changes nothing.
 */
import type { ReplicaRecord } from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { Checker, CheckerDeps } from './checker.ts'
import { lostPredecessor } from './replica-facts.ts'

export function replacementsChecker({ fail }: CheckerDeps): Checker {
  function check(made: ReplicaRecord, lost: ReplicaRecord): void {
    // What was to be moved anyway is not waited for.
    if (lost.replaceWanted) return
    const { keep = false, replaceAfterMs = 0n } = lost.spec!.onDisconnect ?? {}
    const afterMs = made.status!.createdAtMs - lost.lostAtMs
    const what = `${made.status!.id} was made for ${lost.status!.id}`
    if (keep) fail(`${what}, which is to be kept for its node to return`)
    else if (replaceAfterMs > 0n && afterMs < replaceAfterMs) {
      fail(`${what} ${afterMs} ms after that was lost; ${replaceAfterMs} ms were to be waited`)
    }
  }
  return {
    name: 'replacements',
    onChanges(changes, picture) {
      for (const change of changes) {
        if (change.kind !== 'replica') continue
        const lost = lostPredecessor(change as RecordChange<'replica'>, picture)
        if (lost) check((change as RecordChange<'replica'>).after!, lost)
      }
    },
  }
}
