/**
 * How many replicas a workload can spare for others of a higher priority, and what must still hold when they are stopped.
 *
 * What is ready above `min_available` is spare. Whether it still is when the stop is committed is a matter of
 * preconditions: as many ready replicas as must stay are unchanged. Where that would be too many, only a workload that is
 * as its spec says has anything to spare: then nothing else of ours stops its replicas.
 */
import type { WorkloadRecord } from '@cloudless/api'
import { assert } from '@cloudless/base'
import type { Precondition } from '@cloudless/metadata'
import { unchanged, type ClusterState, type RecordChange } from '../state/cluster-state.ts'
import { minAvailableOf } from './min-available.ts'
import { rolloutOf } from './rollout-quota.ts'
import { isServing, servingCount } from './serving.ts'
import { WorkloadTallies, type WorkloadTally } from './workload-tally.ts'

/** Of one workload in one transaction. */
export const witnessesMax = 128

export class SpareReplicas {
  readonly #state: ClusterState
  /** Made when it is first asked for: most clusters never preempt. */
  #tallies: WorkloadTallies | undefined

  constructor(state: ClusterState) {
    this.#state = state
  }

  /** To be called with each change. */
  follow(change: RecordChange<'replica'>): void {
    this.#tallies?.apply(change)
  }

  /** Of a workload that is gone: none. */
  of(workloadId: string): number {
    const workload = this.#state.get('workload', workloadId)
    if (workload === undefined) return 0
    const tally = this.#tallyOf(workloadId)
    const floor = minimumOf(workload)
    if (floor === 0) return tally.live
    if (floor > witnessesMax && !isSettled(workload, tally)) return 0
    return Math.max(0, servingCount(tally, rolloutOf(workload)) - floor)
  }

  /** How many preconditions `guards` takes. */
  guardCount(workloadId: string, isTight: boolean): number {
    return 1 + this.#witnessCount(workloadId, isTight)
  }

  /**
   * What must hold for the workload to be left with enough once the victims, of which there are no more than it has to
   * spare, are gone. `isTight`: as few conditions as can be, where nothing else of ours stops its replicas.
   */
  guards(
    workloadId: string,
    victimIds: ReadonlySet<string>,
    isTight: boolean,
  ): readonly Precondition[] {
    const workload = this.#state.held('workload', workloadId)
    assert(workload !== undefined, `${workloadId} has replicas to spare, so it is there`)
    const guards = [unchanged('workload', workload)]
    const count = this.#witnessCount(workloadId, isTight)
    if (count === 0) return guards
    const witnesses = this.#state
      .replicasOfWorkload(workloadId)
      .filter(
        ({ id, record }) => isServing(record, rolloutOf(workload.record)) && !victimIds.has(id),
      )
      .slice(0, count)
    assert(witnesses.length === count, `${workloadId} keeps what must be available`)
    return [...guards, ...witnesses.map((held) => unchanged('replica', held))]
  }

  #witnessCount(workloadId: string, isTight: boolean): number {
    const workload = this.#state.get('workload', workloadId)
    if (workload === undefined) return 0
    const floor = minimumOf(workload)
    if (floor > witnessesMax) return 0
    return isTight && isSettled(workload, this.#tallyOf(workloadId)) ? 0 : floor
  }

  #tallyOf(workloadId: string): WorkloadTally {
    if (this.#tallies === undefined) {
      this.#tallies = new WorkloadTallies()
      for (const { record } of this.#state.all('replica')) this.#tallies.apply({ after: record })
    }
    return this.#tallies.of(workloadId)
  }
}

/** What must stay ready of it: nothing of a workload that is gone or going. */
export function minimumOf(workload: WorkloadRecord | undefined): number {
  return workload === undefined || workload.deletedAtMs > 0n ? 0 : minAvailableOf(workload)
}

/** Nothing of it is to be replaced or scaled away. */
function isSettled({ workload, deletedAtMs }: WorkloadRecord, tally: WorkloadTally): boolean {
  const { live, marked } = tally.of(workload!.revision)
  return (
    deletedAtMs === 0n && marked === 0 && tally.live === live && live <= workload!.spec!.replicas
  )
}
