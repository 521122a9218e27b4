/** The workloads of a node that returns, with what the settling has already decided of their replicas: read once each. */
import type { ReplicaRecord } from '@cloudless/api'
import type { Precondition } from '@cloudless/metadata'
import { unchanged, type ClusterState, type Held } from '../state/cluster-state.ts'
import { isPeer, type Household } from './decide-return.ts'
import { isLive } from './replica-facts.ts'

type Known = Pick<ClusterState, 'held' | 'replicasOfWorkload'>

interface Entry {
  readonly household: Household
  readonly replicas: Map<string, ReplicaRecord>
  readonly live: Map<string, ReplicaRecord>
  readonly peers: Map<string, ReplicaRecord>
  readonly byReplaced: Map<string, Set<string>>
  /** Its workload is a condition of the transaction already. */
  isConditioned: boolean
}

const nobody: ReadonlySet<string> = new Set()

export class ReturningWorkloads {
  readonly #state: Known
  readonly #byId = new Map<string, Entry>()
  readonly #guarded = new Set<string>()

  constructor(state: Known) {
    this.#state = state
  }

  of(workloadId: string): Household {
    return this.#entry(workloadId).household
  }

  /** That the workload is as it was when it was looked at; nothing the second time. */
  takeConditions(workloadId: string): Precondition[] {
    const entry = this.#entry(workloadId)
    const held = this.#state.held('workload', workloadId)
    if (entry.isConditioned || held === undefined) return []
    entry.isConditioned = true
    return [unchanged('workload', held)]
  }

  /** Adds that the replica is as it was, once. */
  guard(replica: Held<ReplicaRecord>, preconditions: Precondition[]): void {
    if (this.#guarded.has(replica.id)) return
    this.#guarded.add(replica.id)
    preconditions.push(unchanged('replica', replica))
  }

  put(replica: ReplicaRecord): void {
    const { workloadId, id } = replica.status!
    const entry = this.#byId.get(workloadId)
    if (entry) enter(entry, id, replica)
  }

  remove(replica: ReplicaRecord): void {
    const { workloadId, id, replaces } = replica.status!
    const entry = this.#byId.get(workloadId)
    for (const known of entry ? [entry.replicas, entry.live, entry.peers] : []) known.delete(id)
    entry?.byReplaced.get(replaces)?.delete(id)
  }

  #entry(workloadId: string): Entry {
    const known = this.#byId.get(workloadId)
    if (known) return known
    const replicas = new Map<string, ReplicaRecord>()
    const live = new Map<string, ReplicaRecord>()
    const peers = new Map<string, ReplicaRecord>()
    const byReplaced = new Map<string, Set<string>>()
    const household: Household = {
      workload: this.#state.held('workload', workloadId)?.record,
      live,
      peers,
      replacing: (replicaId) =>
        [...(byReplaced.get(replicaId) ?? nobody)].flatMap((id) => replicas.get(id) ?? []),
      zoneOf: (nodeId) => this.#state.held('node', nodeId)?.record.node!.zone ?? '',
    }
    const entry = { household, replicas, live, peers, byReplaced, isConditioned: false }
    for (const { id, record } of this.#state.replicasOfWorkload(workloadId)) {
      enter(entry, id, record)
      const { replaces } = record.status!
      if (replaces === '') continue
      const ids = byReplaced.get(replaces) ?? new Set<string>()
      byReplaced.set(replaces, ids.add(id))
    }
    this.#byId.set(workloadId, entry)
    return entry
  }
}

function enter({ household, replicas, live, peers }: Entry, id: string, replica: ReplicaRecord) {
  const revision = household.workload?.workload!.revision
  const [lives, counts] = [isLive(replica), revision !== undefined && isPeer(replica, revision)]
  replicas.set(id, replica)
  if (lives) live.set(id, replica)
  else live.delete(id)
  if (lives && counts) peers.set(id, replica)
  else peers.delete(id)
}
