/**
 * Keeps each node's record as its liveness says, gives up what a lost node ran, and empties nodes that are drained or
 * tainted NoExecute.
 *
 * A lost node's replicas become LOST in the same transaction in which it becomes OFFLINE: from then on they are fenced.
 * Their workloads' controllers make replacements with new ids; the old ids are never assigned again.
 */
import {
  NodePhase,
  ReplicaState,
  type Hello,
  type NodeRecord,
  type ReplicaObservation,
  type ReplicaRecord,
} from '@cloudless/api'
import { CloudlessError, type Clock, type Random } from '@cloudless/base'
import type { Precondition, Write } from '@cloudless/metadata'
import { nodePhase } from '../membership/node-phase.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import { withTold } from '../membership/told-facts.ts'
import {
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
  type RecordChange,
} from '../state/cluster-state.ts'
import { recordsPerTransactionMax } from '../state/transaction-limits.ts'
import { planEvictions } from './plan-evictions.ts'
import { applyObservation, stopping, withStatus } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import { WorkQueue } from './work-queue.ts'

export interface NodeControllerDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly liveNodes: LiveNodes
  readonly report: Reporter
}

type Done = () => void

export class NodeController {
  readonly #deps: NodeControllerDeps
  readonly #queue: WorkQueue
  readonly #stopListening: () => void
  /** Of each node's drain that goes on: what was said of it. */
  readonly #saidOfDrain = new Map<string, DrainWord>()

  constructor(deps: NodeControllerDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (nodeId) => this.#reconcile(nodeId),
      onError: (nodeId, reason) => deps.report.error(`following node ${nodeId}`, reason),
    })
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id } of deps.state.all('node')) this.#queue.add(id)
    for (const { record } of deps.state.all('replica')) {
      const { nodeId } = record.status!
      if (nodeId !== '' && !deps.state.get('node', nodeId)) this.#queue.add(nodeId)
    }
  }

  /** The node's liveness changed. */
  look(nodeId: string): void {
    this.#queue.add(nodeId)
  }

  close(): Promise<void> {
    this.#stopListening()
    return this.#queue.close()
  }

  /**
   * Stores what a node says of itself when its session begins, and settles its replicas: what it no longer has is
   * forgotten, what it reports is taken over, and what was given up but found no other place is taken back.
   */
  async welcome(nodeId: string, hello: Hello): Promise<NodeRecord> {
    for (;;) {
      const { node, settled } = await this.#welcomeOnce(nodeId, hello)
      for (const replica of settled.reclaimed) this.#deps.report.replicaReclaimed(replica)
      for (const [before, after] of settled.changed) {
        this.#deps.report.replicaChanged(before, after)
      }
      if (settled.complete) return node
    }
  }

  async #welcomeOnce(nodeId: string, hello: Hello): Promise<Welcomed> {
    const { state } = this.#deps
    const welcomed = await state.update((): Decision<Welcomed> => {
      const held = state.held('node', nodeId)
      if (!held) {
        throw new CloudlessError(
          'permission_denied',
          `${nodeId} is not a member of this cluster any more: join again with a new token`,
        )
      }
      const node = withHello(held.record, hello)
      const settled = this.#settleReplicas(nodeId, hello)
      return {
        preconditions: [unchanged('node', held), ...settled.preconditions],
        writes: [putRecord('node', nodeId, node), ...settled.writes],
        result: { node, settled },
      }
    })
    return welcomed!
  }

  #settleReplicas(nodeId: string, hello: Hello): Settlement {
    const observed = new Map(hello.replicas.map((r) => [r.replicaId, r]))
    const settlement: Settlement = {
      preconditions: [],
      writes: [],
      reclaimed: [],
      changed: [],
      complete: true,
    }
    for (const held of this.#deps.state.replicasOnNode(nodeId)) {
      // One replica takes two writes at most: its own and its successor's.
      if (settlement.writes.length + 2 > recordsPerTransactionMax) {
        return { ...settlement, complete: false }
      }
      this.#settleReplica(held, observed.get(held.id), settlement)
    }
    return settlement
  }

  #settleReplica(
    held: Held<ReplicaRecord>,
    observation: ReplicaObservation | undefined,
    settlement: Settlement,
  ): void {
    const { record, id } = held
    const isLost = record.status!.state === ReplicaState.LOST
    if (observation === undefined) {
      // The agent has nothing of it: what was to be stopped is; what should run will be assigned anew.
      if (!isLost && !record.stopping) return
      settlement.preconditions.push(unchanged('replica', held))
      settlement.writes.push(deleteRecord('replica', id))
      return
    }
    const reporter = { nodeId: record.status!.nodeId, nowMs: this.#deps.clock.wallMs() }
    const successor = isLost ? this.#successorOf(record) : undefined
    const canReturn = isLost && !record.stopping && successor && isUnplaced(successor.record)
    const before = canReturn ? reclaimed(record) : record
    const verdict = applyObservation(before, observation, reporter)
    if (verdict.kind === 'unchanged' && !canReturn) return
    settlement.preconditions.push(unchanged('replica', held))
    if (verdict.kind === 'forget') {
      settlement.writes.push(deleteRecord('replica', id))
      return
    }
    const after = verdict.kind === 'changed' ? verdict.record : before
    settlement.writes.push(putRecord('replica', id, after))
    settlement.changed.push([record, after])
    if (!canReturn) return
    settlement.preconditions.push(unchanged('replica', successor))
    settlement.writes.push(deleteRecord('replica', successor.id))
    settlement.reclaimed.push(after)
  }

  #successorOf(record: ReplicaRecord): Held<ReplicaRecord> | undefined {
    const { workloadId, id } = record.status!
    return this.#deps.state
      .replicasOfWorkload(workloadId)
      .find((held) => held.record.status!.replaces === id)
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const { kind, id, before, after } of changes) {
      if (kind === 'node') this.#queue.add(id)
      if (kind !== 'replica') continue
      // A draining node is looked at again when one of its replicas is gone.
      const { nodeId } = ((after ?? before) as ReplicaRecord).status!
      if (nodeId !== '' && this.#needsALook(nodeId)) this.#queue.add(nodeId)
    }
  }

  /** It is being emptied, or is gone or lost while replicas are given to it. */
  #needsALook(nodeId: string): boolean {
    const record = this.#deps.state.get('node', nodeId)
    if (!record || record.node!.status!.phase === NodePhase.OFFLINE) return true
    return record.drainStartedAtMs > 0n || record.node!.taints.some((t) => t.effect === 'NoExecute')
  }

  async #reconcile(nodeId: string): Promise<number | undefined> {
    const { state, clock } = this.#deps
    const done = await state.update(() => {
      const held = state.held('node', nodeId)
      return held ? this.#decide(held) : this.#forgetReplicas(nodeId)
    })
    done?.()
    const drainDeadlineMs = Number(state.get('node', nodeId)?.drainDeadlineMs ?? 0n)
    const leftMs = drainDeadlineMs - clock.wallMs()
    return leftMs > 0 ? leftMs + 1 : undefined
  }

  /** What was given to a node while it was being removed: its workload makes another. */
  #forgetReplicas(nodeId: string): Decision<Done> {
    const replicas = this.#deps.state.replicasOnNode(nodeId).slice(0, recordsPerTransactionMax)
    return {
      preconditions: replicas.map((replica) => unchanged('replica', replica)),
      writes: replicas.map((replica) => deleteRecord('replica', replica.id)),
      result: () => undefined,
    }
  }

  #decide(held: Held<NodeRecord>): Decision<Done> | undefined {
    const { state, clock, liveNodes, report } = this.#deps
    const live = liveNodes.get(held.id)
    const verdict = nodePhase(held.record, live?.liveness, live?.runtimeReady ?? true)
    const status = held.record.node!.status!
    const replicas = state.replicasOnNode(held.id)
    const preconditions: Precondition[] = []
    const writes: Write[] = []
    const reports: Done[] = []

    const told = withTold(held.record.node!, live?.told ?? {})
    const news = verdict.phase !== status.phase || verdict.message !== status.message
    if (news || told !== held.record.node) {
      const moved = verdict.phase !== status.phase
      const lastTransitionMs = moved ? BigInt(clock.wallMs()) : status.lastTransitionMs
      const node = {
        ...told,
        status: { ...status, ...verdict, lastTransitionMs },
      }
      preconditions.push(unchanged('node', held))
      writes.push(putRecord('node', held.id, { ...held.record, node }))
      const change = {
        before: status.phase,
        after: verdict.phase,
        message: verdict.message,
        lastTransitionMs: Number(status.lastTransitionMs),
        silentMs: live && live.lastSeenAtMs > 0 ? clock.wallMs() - live.lastSeenAtMs : undefined,
      }
      if (moved) reports.push(() => report.nodePhaseChanged({ ...held.record, node }, change))
    }
    if (verdict.phase === NodePhase.OFFLINE) {
      const given = replicas.filter((r) => r.record.status!.state !== ReplicaState.LOST)
      // The changes themselves make us look again, for those that are left.
      for (const replica of given.slice(0, recordsPerTransactionMax)) {
        preconditions.push(unchanged('replica', replica))
        writes.push(
          replica.record.stopping
            ? deleteRecord('replica', replica.id)
            : putRecord('replica', replica.id, lost(replica.record, held.record, clock.wallMs())),
        )
      }
      if (given.length > 0 && verdict.phase !== status.phase)
        reports.push(() => report.nodeLost(held.record, given.length))
    } else {
      this.#evict(held, replicas, { preconditions, writes, reports })
    }
    return { preconditions, writes, result: () => reports.forEach((say) => say()) }
  }

  #evict(
    node: Held<NodeRecord>,
    replicas: readonly Held<ReplicaRecord>[],
    out: { preconditions: Precondition[]; writes: Write[]; reports: Done[] },
  ): void {
    const { clock, report } = this.#deps
    const plan = planEvictions(
      node.record,
      replicas.map((held) => held.record),
    )
    const heldById = new Map(replicas.map((held) => [held.id, held]))
    for (const { replica, kind, reason } of plan.slice(0, recordsPerTransactionMax)) {
      const held = heldById.get(replica.status!.id)!
      out.preconditions.push(unchanged('replica', held))
      const record = {
        replace: (): ReplicaRecord => ({ ...replica, replaceWanted: true, replaceReason: reason }),
        keep: (): ReplicaRecord => ({ ...replica, replaceWanted: false, replaceReason: '' }),
        stop: (): ReplicaRecord => stopping(replica, reason, undefined),
      }[kind]()
      out.writes.push(putRecord('replica', held.id, record))
    }
    const { drainStartedAtMs, drainDeadlineMs } = node.record
    if (drainStartedAtMs === 0n) {
      this.#saidOfDrain.delete(node.id)
      return
    }
    const isStuck = clock.wallMs() >= Number(drainDeadlineMs)
    const word = replicas.length === 0 ? 'drained' : isStuck ? 'stuck' : undefined
    if (word === undefined || this.#saidOfDrain.get(node.id) === word) return
    this.#saidOfDrain.set(node.id, word)
    out.reports.push(() => {
      if (word === 'drained') report.nodeDrained(node.record)
      else report.drainStuck(node.record, replicas.length)
    })
  }
}

type DrainWord = 'drained' | 'stuck'

interface Settlement {
  readonly preconditions: Precondition[]
  readonly writes: Write[]
  readonly reclaimed: ReplicaRecord[]
  readonly changed: [ReplicaRecord, ReplicaRecord | undefined][]
  /** False when one transaction does not take all: what is left needs another look. */
  readonly complete: boolean
}

interface Welcomed {
  readonly node: NodeRecord
  readonly settled: Settlement
}

function isUnplaced(replica: ReplicaRecord): boolean {
  return replica.status!.nodeId === ''
}

function lost(replica: ReplicaRecord, node: NodeRecord, nowMs: number): ReplicaRecord {
  return withStatus(
    replica,
    {
      state: ReplicaState.LOST,
      ready: false,
      reason: 'NodeLost',
      message: `node ${node.node!.name} was lost; a replacement takes over`,
    },
    { lostAtMs: BigInt(nowMs) },
  )
}

/** Taken back before anything else took its place. */
function reclaimed(replica: ReplicaRecord): ReplicaRecord {
  return withStatus(
    replica,
    { state: ReplicaState.SCHEDULED, reason: '', message: '' },
    { lostAtMs: 0n },
  )
}

function withHello(record: NodeRecord, hello: Hello): NodeRecord {
  const node = {
    ...record.node!,
    agentVersion: hello.agentVersion,
    addresses: hello.addresses,
    ...(hello.capabilities && { capabilities: hello.capabilities }),
    ...(hello.capacity && { capacity: hello.capacity }),
    ...(hello.allocatable && { allocatable: hello.allocatable }),
  }
  return {
    ...record,
    node,
    bootId: hello.bootId,
    instanceId: hello.instanceId,
  }
}
