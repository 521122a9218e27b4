/** Carries out what plan-evictions.ts decides of a node's replicas, as a part of the transaction that follows the node. */
import type { NodeRecord, ReplicaRecord } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { Precondition, Write } from '@cloudless/metadata'
import { putRecord, unchanged, type ClusterState, type Held } from '../state/cluster-state.ts'
import { TransactionRoom } from '../state/transaction-limits.ts'
import { planEvictions } from './plan-evictions.ts'
import { stopping } from './replica-records.ts'
import type { Reporter } from './reporter.ts'

/** One transaction in the making, and what to say once it is committed. */
export interface Step {
  readonly preconditions: Precondition[]
  readonly writes: Write[]
  readonly reports: (() => void)[]
}

export interface EvictionDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly report: Reporter
}

/** As many as one transaction takes: the changes themselves make the controller look again. */
export function evictReplicas(
  { state, clock, report }: EvictionDeps,
  node: Held<NodeRecord>,
  replicas: readonly Held<ReplicaRecord>[],
  step: Step,
): void {
  const records = replicas.map((held) => held.record)
  const heldById = new Map(replicas.map((held) => [held.id, held]))
  const room = new TransactionRoom()
  const workloads = new TouchedWorkloads(state, room, step)
  for (const { replica, kind, reason } of planEvictions(node.record, records, clock.wallMs())) {
    const held = heldById.get(replica.status!.id)!
    if (!room.takes(held.bytes)) break
    if (kind === 'stop' && !workloads.touch(replica.status!.workloadId)) break
    const record = {
      replace: (): ReplicaRecord => ({ ...replica, replaceWanted: true, replaceReason: reason }),
      keep: (): ReplicaRecord => ({ ...replica, replaceWanted: false, replaceReason: '' }),
      stop: (): ReplicaRecord => stopping(replica, reason, undefined),
    }[kind]()
    step.preconditions.push(unchanged('replica', held))
    step.writes.push(putRecord('replica', held.id, record))
    if (kind === 'stop') step.reports.push(() => report.replicaStopping(record, reason))
  }
  // Whoever ends the drain meanwhile wants nothing more stopped.
  if (workloads.count > 0) step.preconditions.push(unchanged('node', node))
}

/**
 * Workloads of which replicas are stopped without waiting for others. Their controllers may be about to stop some
 * themselves, counting on these: the workload's record is written anew, so that what was decided before is refused.
 */
class TouchedWorkloads {
  readonly #state: ClusterState
  readonly #room: TransactionRoom
  readonly #step: Step
  readonly #ids = new Set<string>()

  constructor(state: ClusterState, room: TransactionRoom, step: Step) {
    this.#state = state
    this.#room = room
    this.#step = step
  }

  get count(): number {
    return this.#ids.size
  }

  /** False when the transaction has no room for it. */
  touch(workloadId: string): boolean {
    if (this.#ids.has(workloadId)) return true
    const held = this.#state.held('workload', workloadId)
    if (held && !this.#room.takes(held.bytes)) return false
    this.#ids.add(workloadId)
    if (held === undefined) return true
    this.#step.preconditions.push(unchanged('workload', held))
    this.#step.writes.push(putRecord('workload', workloadId, held.record))
    return true
  }
}
