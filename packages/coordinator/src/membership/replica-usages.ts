/**
 * What replicas of autoscaled workloads last told of themselves, through their agents. In memory: it is told again within
 * seconds. A reading goes with its replica, and with its workload's autoscaling; what is old counts as not known.
 */
import type { ReplicaRecord, ReplicaUsage, WorkloadRecord } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'

export interface ReplicaUsagesDeps {
  readonly state: ClusterState
  readonly clock: Clock
}

export interface KnownUsage {
  readonly cpuMillicores: number
  readonly memoryBytes: number
  /** Of the names that its spec asks for, those it told. */
  readonly metrics: Readonly<Record<string, number>>
}

/** What was told longer ago is not known any more. */
export const usageAgeMsMax = 30_000
/** Of one heartbeat; an agent sends fewer. */
export const usagesPerHeartbeatMax = 1_000

export class ReplicaUsages {
  readonly #deps: ReplicaUsagesDeps
  readonly #byReplica = new Map<string, { readonly usage: KnownUsage; readonly atMs: number }>()
  readonly #stopListening: () => void

  constructor(deps: ReplicaUsagesDeps) {
    this.#deps = deps
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
  }

  /** Readings kept. */
  get size(): number {
    return this.#byReplica.size
  }

  /** A node tells of the replicas it has; what it says of others is not listened to. */
  tell(nodeId: string, usages: readonly ReplicaUsage[]): void {
    const { state, clock } = this.#deps
    const atMs = clock.monotonicMs()
    for (const told of usages.slice(0, usagesPerHeartbeatMax)) {
      const record = state.get('replica', told.replicaId)
      if (record?.status!.nodeId !== nodeId || !this.#isWanted(record)) continue
      this.#byReplica.set(told.replicaId, { usage: knownOf(told, record), atMs })
    }
  }

  /** Undefined when nothing was told lately. */
  of(replicaId: string): KnownUsage | undefined {
    const known = this.#byReplica.get(replicaId)
    if (!known || this.#deps.clock.monotonicMs() - known.atMs > usageAgeMsMax) return undefined
    return known.usage
  }

  close(): void {
    this.#stopListening()
  }

  #isWanted({ status }: ReplicaRecord): boolean {
    return isAutoscaled(this.#deps.state.get('workload', status!.workloadId))
  }

  #onChanges(changes: readonly RecordChange[]): void {
    if (this.#byReplica.size === 0) return
    for (const change of changes) {
      const { kind, id } = change
      if (kind === 'replica' && !change.after) this.#byReplica.delete(id)
      if (kind !== 'workload') continue
      const { before, after } = change as RecordChange<'workload'>
      // What was never autoscaled has nothing here: its replicas, many maybe, need no look at each of its writes.
      if (!isAutoscaled(before) || !after || isAutoscaled(after)) continue
      for (const replica of this.#deps.state.replicasOfWorkload(id)) {
        this.#byReplica.delete(replica.id)
      }
    }
  }
}

function isAutoscaled(record: WorkloadRecord | undefined): boolean {
  return record?.workload!.spec!.autoscaling !== undefined
}

/** What an agent sends is not taken on trust: figures that are none are left out. */
function knownOf(told: ReplicaUsage, { spec }: ReplicaRecord): KnownUsage {
  const metrics: Record<string, number> = {}
  for (const name of spec!.metrics?.names ?? []) {
    const value = Object.hasOwn(told.metrics, name) ? told.metrics[name] : undefined
    if (value !== undefined && Number.isFinite(value)) metrics[name] = value
  }
  return {
    cpuMillicores: Math.max(0, told.cpuMillicores),
    memoryBytes: Math.max(0, Number(told.memoryBytes)),
    metrics,
  }
}
