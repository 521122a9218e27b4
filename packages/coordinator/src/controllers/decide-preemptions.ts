/**
 * Room for replicas that nothing could take, decided against the newest picture of the cluster: one transaction, and what
 * to say of it once it is committed.
 *
 * A replica for which room is made is *nominated*: the room on its node is reserved for it, while the victims have their
 * grace. It lapses when nothing that is leaving will make the room; then room is made for it anew, where it is cheapest.
 */
import type { NodeRecord, ReplicaRecord } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  admit,
  planPreemption,
  planPreemptions,
  type PendingReplica,
  type Preemption,
} from '@cloudless/scheduler'
import {
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
} from '../state/cluster-state.ts'
import { recordsPerTransactionMax, TransactionRoom } from '../state/transaction-limits.ts'
import { excludedNodeIds, needsPlace } from './decide-placements.ts'
import { stopping, withStatus } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import type { SchedulerView } from './scheduler-view.ts'
import type { SpareReplicas } from './spare-replicas.ts'

export interface PreemptionDecisionDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly spare: SpareReplicas
  readonly clock: Clock
  readonly report: Reporter
}

/** After this the rest waits for the next transaction: the first plan for a kind may take ten milliseconds. */
const planningMsMax = 10

export interface PreemptionOutcome {
  /** Placement should try them again: they would be placed now, or should say anew why not. */
  readonly retry: readonly string[]
  /** Nothing can be done for them as things are. */
  readonly hopeless: readonly string[]
  /** The transaction was full, or the time used up, before it was their turn. */
  readonly left: readonly string[]
  readonly say: () => void
}

export function decidePreemptions(
  deps: PreemptionDecisionDeps,
  ids: readonly string[],
): Decision<PreemptionOutcome> {
  const { state, view } = deps
  const { preemptionPriorityAbove, weights } = view.configuration()
  const retry: string[] = []
  const hopeless: string[] = []
  const lapsed = new Set<string>()
  const pending: PendingReplica[] = []
  for (const id of ids) {
    const record = state.get('replica', id)
    if (record === undefined || !needsPlace(record)) continue
    const replica = view.pendingOf(record, { excludedNodeIds: excludedNodeIds(state, record) })
    const standing = standingOf(view, replica, record.status!.nominatedNodeId)
    if (standing === 'placeable') retry.push(id)
    if (standing === 'lapsed') lapsed.add(id)
    const mayAsk = standing === 'lapsed' || standing === 'unnominated'
    if (mayAsk && replica.kind.priority > preemptionPriorityAbove) pending.push(replica)
  }
  const draft = new PreemptionDraft(deps)
  // Its own rollout decides about a workload's older replicas.
  const spareOf = (workloadId: string, { kind }: PendingReplica): number =>
    kind.workloadId === workloadId ? 0 : deps.spare.of(workloadId)
  const left = new Set(pending.map(({ id }) => id))
  const endMs = deps.clock.monotonicMs() + planningMsMax
  const plans = planPreemptions(view.table, pending, { spareOf, weights })
  for (const { pending: replica, preemption } of plans) {
    const { id } = replica
    const fate = preemption === undefined ? 'impossible' : draft.add(id, preemption)
    if (fate === 'full') break
    left.delete(id)
    if (fate === 'added') lapsed.delete(id)
    else hopeless.push(id)
    if (deps.clock.monotonicMs() > endMs) break
  }
  for (const id of lapsed) if (!left.has(id) && draft.lapse(id)) retry.push(id)
  return draft.decision({ retry, hopeless, left: [...left] })
}

type Standing = 'unnominated' | 'placeable' | 'coming' | 'lapsed'

/** What has become of the room that is being made for it. */
function standingOf(view: SchedulerView, replica: PendingReplica, nodeId: string): Standing {
  if (nodeId === '') return 'unnominated'
  if (admit(view.table, replica, nodeId) === undefined) return 'placeable'
  const { weights } = view.configuration()
  const isComing = planPreemption(view.table, replica, {
    spareOf: () => 0,
    weights,
    onlyNodeId: nodeId,
  })
  return isComing === undefined ? 'lapsed' : 'coming'
}

/** One transaction in the making. */
class PreemptionDraft {
  readonly #deps: PreemptionDecisionDeps
  readonly #changed = new Map<string, Held<ReplicaRecord>>()
  readonly #writes: Write[] = []
  readonly #nodes = new Map<string, Held<NodeRecord>>()
  readonly #victimIds = new Set<string>()
  readonly #workloadIds = new Set<string>()
  readonly #say: (() => void)[] = []
  /** The first plan alone would need more conditions than a transaction takes. */
  #isTight = false

  constructor(deps: PreemptionDecisionDeps) {
    this.#deps = deps
  }

  /** Nothing is added unless it is `added`. `full`: it would be in a transaction of its own. */
  add(
    id: string,
    { nodeId, victimIds, displacedIds }: Preemption,
  ): 'added' | 'full' | 'impossible' {
    const { state, report } = this.#deps
    const node = state.held('node', nodeId)
    const preemptor = state.held('replica', id)
    const victims = victimIds.map((victimId) => state.held('replica', victimId))
    const displaced = displacedIds.map((displacedId) => state.held('replica', displacedId))
    const all = [preemptor, ...victims, ...displaced]
    if (node === undefined || !all.every((held) => held !== undefined)) return 'impossible'
    const stopped = victims.map((victim) => victim!)
    const workloadIds = stopped.map(({ record }) => record.status!.workloadId)
    if (!this.#hasRoomFor(all, workloadIds)) {
      return this.#changed.size === 0 ? 'impossible' : 'full'
    }
    this.#nodes.set(nodeId, node)
    for (const workloadId of workloadIds) this.#workloadIds.add(workloadId)
    for (const victim of stopped) {
      this.#victimIds.add(victim.id)
      this.#change(victim, stopping(victim.record, 'preempted', undefined))
    }
    for (const held of displaced) this.#change(held!, displacedBy(held!.record, id, node.record))
    const record = nominated(preemptor!.record, node.record, victimIds)
    this.#change(preemptor!, record)
    const records = stopped.map((victim) => victim.record)
    this.#say.push(() => report.roomMade(record, node.record, records))
    return 'added'
  }

  /** Room is not being made for it any more. False when it must wait for the next transaction. */
  lapse(id: string): boolean {
    const held = this.#deps.state.held('replica', id)!
    if (!this.#hasRoomFor([held], [])) return false
    this.#change(
      held,
      withStatus(held.record, {
        nominatedNodeId: '',
        reason: 'Unschedulable',
        message: 'the room that was being made for it has not come about',
      }),
    )
    return true
  }

  decision(outcome: Omit<PreemptionOutcome, 'say'>): Decision<PreemptionOutcome> {
    const preconditions: Precondition[] = []
    for (const held of this.#changed.values()) preconditions.push(unchanged('replica', held))
    for (const held of this.#nodes.values()) preconditions.push(unchanged('node', held))
    for (const workloadId of this.#workloadIds) {
      preconditions.push(...this.#deps.spare.guards(workloadId, this.#victimIds, this.#isTight))
    }
    const say = (): void => this.#say.forEach((one) => one())
    return { preconditions, writes: this.#writes, result: { ...outcome, say } }
  }

  #hasRoomFor(replicas: readonly Held<ReplicaRecord>[], workloadIds: readonly string[]): boolean {
    const room = new TransactionRoom()
    const records = [...this.#changed.values(), ...replicas]
    if (!records.every(({ bytes }) => room.takes(bytes))) return false
    if (this.#sizeWith(replicas.length, workloadIds) <= recordsPerTransactionMax) return true
    if (this.#changed.size > 0) return false
    this.#isTight = true
    return this.#sizeWith(replicas.length, workloadIds) <= recordsPerTransactionMax
  }

  /** Preconditions, with so many more replicas, another node, and these workloads. */
  #sizeWith(replicaCount: number, workloadIds: readonly string[]): number {
    let size = this.#changed.size + replicaCount + this.#nodes.size + 1
    for (const workloadId of new Set([...this.#workloadIds, ...workloadIds])) {
      size += this.#deps.spare.guardCount(workloadId, this.#isTight)
    }
    return size
  }

  #change(held: Held<ReplicaRecord>, record: ReplicaRecord): void {
    this.#changed.set(held.id, held)
    this.#writes.push(putRecord('replica', held.id, record))
  }
}

const namedMax = 3

function nominated(
  replica: ReplicaRecord,
  node: NodeRecord,
  victimIds: readonly string[],
): ReplicaRecord {
  const { id, name } = node.node!
  const more = victimIds.length - namedMax
  const named = victimIds.slice(0, namedMax).join(', ') + (more > 0 ? ` and ${more} more` : '')
  const who = victimIds.length === 0 ? 'which replicas are leaving' : `for which it stops ${named}`
  return withStatus(replica, {
    nominatedNodeId: id,
    reason: 'Preempting',
    message: `waits for room on node "${name}", ${who}`,
  })
}

function displacedBy(replica: ReplicaRecord, otherId: string, node: NodeRecord): ReplicaRecord {
  return withStatus(replica, {
    nominatedNodeId: '',
    reason: 'Unschedulable',
    message: `the room on node "${node.node!.name}" goes to ${otherId}, which has a higher priority`,
  })
}
