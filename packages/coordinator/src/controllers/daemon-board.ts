/**
 * What one daemon has on each node, kept up to date one change at a time: a cluster has thousands of nodes, and a change is
 * about one.
 */
import type { ReplicaRecord, WorkloadRecord } from '@cloudless/api'
import { unsuitedTo, type NodeView, type ReplicaKind } from '@cloudless/scheduler'
import type { ClusterState } from '../state/cluster-state.ts'
import { planNode, tallyOf, type Fit, type NodePlan } from './plan-daemon.ts'

export interface DaemonBoardDeps {
  readonly state: Pick<ClusterState, 'get' | 'replicasOfWorkload'>
  /** As the scheduler sees it; undefined when it is no member. */
  readonly node: (nodeId: string) => NodeView | undefined
}

/** Those that are there; on the others nothing can be made now. */
const presentPhases = ['ready', 'cordoned', 'draining']

export class DaemonBoard {
  readonly #deps: DaemonBoardDeps
  readonly #kind: ReplicaKind
  /** What it was made for. */
  readonly workload: WorkloadRecord
  readonly #fits = new Map<string, Fit>()
  readonly #replicaIds = new Map<string, Set<string>>()
  readonly #counted = new Set<string>()
  readonly #ready = new Set<string>()
  readonly #outdated = new Map<string, ReplicaRecord>()
  /** Nodes on which there may be something to do. */
  readonly #due = new Set<string>()

  constructor(
    deps: DaemonBoardDeps,
    workload: WorkloadRecord,
    kind: ReplicaKind,
    nodeIds: Iterable<string>,
  ) {
    this.#deps = deps
    this.#kind = kind
    this.workload = workload
    for (const { record } of deps.state.replicasOfWorkload(workload.workload!.id)) {
      this.#idsOn(record.status!.boundNodeId).add(record.status!.id)
    }
    for (const nodeId of new Set([...nodeIds, ...this.#replicaIds.keys()])) this.lookAt(nodeId)
  }

  /** Its full name. */
  get image(): string {
    return this.#kind.image
  }

  /** Nodes that are to have one. */
  get counted(): number {
    return this.#counted.size
  }

  get ready(): number {
    return this.#ready.size
  }

  /** In the order in which they became so. */
  get outdated(): Iterable<ReplicaRecord> {
    return this.#outdated.values()
  }

  get isDue(): boolean {
    return this.#due.size > 0
  }

  /** One of its replicas is different. */
  follow(before: ReplicaRecord | undefined, after: ReplicaRecord | undefined): void {
    const { id, boundNodeId } = (after ?? before)!.status!
    if (after !== undefined) this.#idsOn(boundNodeId).add(id)
    else this.#replicaIds.get(boundNodeId)?.delete(id)
    this.lookAt(boundNodeId)
  }

  /** The node may be something else. */
  lookAt(nodeId: string): void {
    const replicas = this.#replicasOn(nodeId)
    const fit = this.#fitOf(nodeId, replicas.length > 0)
    this.#fits.set(nodeId, fit)
    const tally = tallyOf(fit, replicas, this.workload.workload!.revision)
    note(this.#counted, nodeId, tally.isCounted)
    note(this.#ready, nodeId, tally.isReady && tally.isCounted)
    if (tally.outdated === undefined) this.#outdated.delete(nodeId)
    else this.#outdated.set(nodeId, tally.outdated)
    note(this.#due, nodeId, hasWork(planNode(fit, replicas)))
    if (fit === 'gone' && replicas.length === 0) this.#forget(nodeId)
  }

  /** What is to be done on some of the nodes, as things are now. */
  *plans(nodesMax: number): Generator<readonly [nodeId: string, plan: NodePlan]> {
    let left = nodesMax
    for (const nodeId of this.#due) {
      if (left-- <= 0) return
      yield [nodeId, planNode(this.#fits.get(nodeId) ?? 'gone', this.#replicasOn(nodeId))]
    }
  }

  #fitOf(nodeId: string, hasOne: boolean): Fit {
    const node = this.#deps.node(nodeId)
    if (node === undefined) return 'gone'
    if (node.phase === 'offline') return 'away'
    if (unsuitedTo(this.#kind, node, { staying: true }) !== undefined) return 'unwanted'
    if (!presentPhases.includes(node.phase)) return 'tolerated'
    if (unsuitedTo(this.#kind, node, { staying: false }) === undefined) return 'wanted'
    return hasOne ? 'tolerated' : 'unwanted'
  }

  #replicasOn(nodeId: string): ReplicaRecord[] {
    const found: ReplicaRecord[] = []
    for (const id of this.#replicaIds.get(nodeId) ?? []) {
      const record = this.#deps.state.get('replica', id)
      if (record !== undefined) found.push(record)
    }
    return found
  }

  #idsOn(nodeId: string): Set<string> {
    let ids = this.#replicaIds.get(nodeId)
    if (ids === undefined) this.#replicaIds.set(nodeId, (ids = new Set()))
    return ids
  }

  #forget(nodeId: string): void {
    this.#fits.delete(nodeId)
    this.#replicaIds.delete(nodeId)
  }
}

function note(set: Set<string>, nodeId: string, isIn: boolean): void {
  if (isIn) set.add(nodeId)
  else set.delete(nodeId)
}

function hasWork({ create, stop, forget }: NodePlan): boolean {
  return create || stop.length > 0 || forget.length > 0
}
