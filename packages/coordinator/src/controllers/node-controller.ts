/**
 * Keeps each node's record as its liveness says, gives up what a lost node ran, and empties nodes that are drained or
 * tainted NoExecute.
 *
 * A lost node's replicas become LOST in the same transaction in which it becomes OFFLINE: from then on nothing counts them,
 * and their workloads' controllers make replacements with new ids when `on_disconnect` says so. What becomes of them when the
 * node returns is settled by its first words: see settle-replicas.ts.
 */
import {
  NodePhase,
  ReplicaState,
  type Hello,
  type NodeRecord,
  type ReplicaRecord,
} from '@cloudless/api'
import { CloudlessError, type Clock, type Random } from '@cloudless/base'
import {
  historyUntil,
  historyWithLoss,
  historyWithReturn,
  type Watch,
} from '../membership/node-history.ts'
import { nodePhase, type NodePhaseVerdict } from '../membership/node-phase.ts'
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
import { firstThatFit } from '../state/transaction-limits.ts'
import { drainProgress, whatDrainWaitsFor } from './drain-progress.ts'
import { evictReplicas, type Step } from './evict-replicas.ts'
import { heldBack, letGo } from './held-replica.ts'
import { isOver } from './job-attempts.ts'
import { lostReplica } from './lost-replica.ts'
import type { MassLossController } from './mass-loss-controller.ts'
import type { Reporter } from './reporter.ts'
import { settleReplicas, type Settlement } from './settle-replicas.ts'
import { WorkQueue } from './work-queue.ts'

export interface NodeControllerDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly liveNodes: LiveNodes
  readonly report: Reporter
  /** Whether the replicas of lost nodes are held back now. */
  readonly massLoss: Pick<MassLossController, 'heldUntilMs' | 'isReleased'>
}

type Done = () => void

/** Of ten attempts each to store what a node says of itself, before its session ends and it comes again. */
const welcomeRoundsMax = 20

export class NodeController {
  readonly #deps: NodeControllerDeps
  readonly #queue: WorkQueue
  readonly #stopListening: () => void
  /** Of each node's drain that goes on: what was said of it. */
  readonly #saidOfDrain = new Map<string, DrainWord>()
  readonly #startedAtMs: number

  constructor(deps: NodeControllerDeps) {
    this.#deps = deps
    this.#startedAtMs = deps.clock.wallMs()
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

  /** The node's liveness changed, or its replicas need not be held any longer. */
  look(nodeId: string): void {
    this.#queue.add(nodeId)
  }

  close(): Promise<void> {
    this.#stopListening()
    return this.#queue.close()
  }

  /**
   * Stores what a node says of itself when its session begins, and settles its replicas: what it no longer has is
   * forgotten, what it reports is taken over, and what was given up is taken back or fenced.
   */
  async welcome(nodeId: string, hello: Hello): Promise<NodeRecord> {
    const { state, clock, report } = this.#deps
    const { phase, lastTransitionMs } = state.get('node', nodeId)?.node!.status ?? {}
    const lostAtMs = phase === NodePhase.OFFLINE ? Number(lastTransitionMs) : undefined
    let [kept, fenced] = [0, 0]
    for (;;) {
      const { node, settled, reports } = await this.#welcomeAtLast(nodeId, hello)
      this.#sayOfSettled(settled)
      for (const say of reports) say()
      kept += settled.reclaimed.length
      fenced += settled.fenced.length
      if (!settled.complete) continue
      if (lostAtMs === undefined) return node
      report.nodeReturned(node, { awayMs: clock.wallMs() - lostAtMs, kept, fenced })
      return node
    }
  }

  #sayOfSettled({ reclaimed, fenced, changed }: Settlement): void {
    const { report } = this.#deps
    for (const replica of reclaimed) report.replicaReclaimed(replica)
    for (const [before, after] of changed) report.replicaChanged(before, after)
    for (const replica of fenced) report.replicaFenced(replica)
  }

  /** A record that many write, such as that of a job, may be in the way for a while: no reason to end the session. */
  async #welcomeAtLast(nodeId: string, hello: Hello): Promise<Welcomed> {
    for (let round = 1; ; round++) {
      try {
        return await this.#welcomeOnce(nodeId, hello)
      } catch (reason) {
        const isInTheWay = CloudlessError.from(reason).code === 'conflict'
        if (!isInTheWay || round === welcomeRoundsMax) throw reason
      }
    }
  }

  async #welcomeOnce(nodeId: string, hello: Hello): Promise<Welcomed> {
    const { state, clock } = this.#deps
    const welcomed = await state.update((): Decision<Welcomed> => {
      const held = state.held('node', nodeId)
      if (!held) {
        throw new CloudlessError(
          'permission_denied',
          `${nodeId} is not a member of this cluster any more: join again with a new token`,
        )
      }
      const greeted = withHello(withReturn(held.record, hello, this.#watch()), hello)
      const settled = settleReplicas({ state, nowMs: clock.wallMs() }, nodeId, hello)
      const reports: Done[] = []
      // Schedulable with its first words, not with a look of its own: thousands may come at once.
      const node = settled.complete ? this.#phased(nodeId, greeted, reports) : greeted
      return {
        preconditions: [unchanged('node', held), ...settled.preconditions],
        writes: [putRecord('node', nodeId, node), ...settled.writes],
        result: { node, settled, reports },
      }
    })
    return welcomed!
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
    const replicas = firstThatFit(this.#deps.state.replicasOnNode(nodeId))
    return {
      preconditions: replicas.map((replica) => unchanged('replica', replica)),
      writes: replicas.map((replica) => deleteRecord('replica', replica.id)),
      result: () => undefined,
    }
  }

  #decide(held: Held<NodeRecord>): Decision<Done> {
    const { state } = this.#deps
    const replicas = state.replicasOnNode(held.id)
    const step: Step = { preconditions: [], writes: [], reports: [] }
    const after = this.#follow(held, step)
    if (after.node!.status!.phase === NodePhase.OFFLINE) {
      // None of the transactions that give up what it ran may come after its session has begun.
      if (after === held.record) step.preconditions.push(unchanged('node', held))
      this.#giveUp(held.record, after, replicas, step)
      this.#letGo(held, after, replicas, step)
    } else {
      evictReplicas(this.#deps, held, replicas, step)
      this.#followDrain(held, replicas, step)
    }
    const { preconditions, writes, reports } = step
    return { preconditions, writes, result: () => reports.forEach((say) => say()) }
  }

  /** Writes down the node's phase and what it has told, where they are news; the record as it then is. */
  #follow(held: Held<NodeRecord>, step: Step): NodeRecord {
    const after = this.#phased(held.id, held.record, step.reports)
    if (after === held.record) return after
    step.preconditions.push(unchanged('node', held))
    step.writes.push(putRecord('node', held.id, after))
    return after
  }

  /** The record with the phase that the node is in now and what it has told; the same one where neither is news. */
  #phased(nodeId: string, record: NodeRecord, reports: Done[]): NodeRecord {
    const { clock, liveNodes, report } = this.#deps
    const live = liveNodes.get(nodeId)
    const verdict = nodePhase(record, live?.liveness, live?.runtimeReady ?? true)
    const status = record.node!.status!
    const told = withTold(record.node!, live?.told ?? {})
    const moved = verdict.phase !== status.phase
    if (!moved && verdict.message === status.message && told === record.node) return record
    const lastTransitionMs = moved ? BigInt(clock.wallMs()) : status.lastTransitionMs
    const node = { ...told, status: { ...status, ...verdict, lastTransitionMs } }
    const after = { ...(moved ? this.#moved(record, verdict) : record), node }
    if (!moved) return after
    const change = {
      before: status.phase,
      after: verdict.phase,
      message: verdict.message,
      lastTransitionMs: Number(status.lastTransitionMs),
      silentMs: live && live.lastSeenAtMs > 0 ? clock.wallMs() - live.lastSeenAtMs : undefined,
    }
    reports.push(() => report.nodePhaseChanged(after, change))
    return after
  }

  /** What a change of its phase leaves on a node's record beside the phase. */
  #moved(record: NodeRecord, { phase }: NodePhaseVerdict): NodeRecord {
    const watch = this.#watch()
    if (phase !== NodePhase.OFFLINE) {
      return { ...record, history: historyUntil(record, watch), lostAtMs: 0n, heldUntilMs: 0n }
    }
    return {
      ...record,
      history: historyWithLoss(record, watch),
      lostAtMs: BigInt(Math.round(watch.nowMs)),
      heldUntilMs: BigInt(Math.round(this.#deps.massLoss.heldUntilMs())),
    }
  }

  #watch(): Watch {
    return { nowMs: this.#deps.clock.wallMs(), watchedSinceMs: this.#startedAtMs }
  }

  /** A lost node's replicas are lost with it; what was being stopped there is gone for good. */
  #giveUp(
    before: NodeRecord,
    node: NodeRecord,
    replicas: readonly Held<ReplicaRecord>[],
    step: Step,
  ): void {
    const { clock, report } = this.#deps
    const nowMs = clock.wallMs()
    // What is over is history, wherever it ran.
    const given = replicas.filter(
      ({ record }) =>
        record.status!.state !== ReplicaState.LOST && (record.stopping || !isOver(record)),
    )
    // The changes themselves make us look again, for those that are left.
    for (const replica of firstThatFit(given)) {
      step.preconditions.push(unchanged('replica', replica))
      const { id, record } = replica
      const after = record.stopping
        ? undefined
        : heldBack(lostReplica(record, node.node!.name, nowMs), node.heldUntilMs, nowMs)
      step.writes.push(after ? putRecord('replica', id, after) : deleteRecord('replica', id))
      step.reports.push(() => report.replicaChanged(record, after))
    }
    const isNew = before.node!.status!.phase !== NodePhase.OFFLINE
    if (given.length > 0 && isNew) step.reports.push(() => report.nodeLost(node, given.length))
  }

  /** It was held together with many others, and need not be any longer: what it ran is replaced as usual. */
  #letGo(
    held: Held<NodeRecord>,
    node: NodeRecord,
    replicas: readonly Held<ReplicaRecord>[],
    step: Step,
  ): void {
    const { heldUntilMs } = node
    if (node !== held.record || heldUntilMs === 0n) return
    if (!this.#deps.massLoss.isReleased(held.id, Number(heldUntilMs))) return
    const waiting = replicas.filter(({ record }) => letGo(record, heldUntilMs) !== record)
    const some = firstThatFit(waiting)
    for (const replica of some) {
      step.preconditions.push(unchanged('replica', replica))
      step.writes.push(putRecord('replica', replica.id, letGo(replica.record, heldUntilMs)))
    }
    if (some.length < waiting.length) return
    step.writes.push(putRecord('node', held.id, { ...node, heldUntilMs: 0n }))
  }

  #followDrain(node: Held<NodeRecord>, replicas: readonly Held<ReplicaRecord>[], step: Step): void {
    const { left } = drainProgress(replicas.map((held) => held.record))
    const word = this.#wordOfDrain(node.record, left)
    if (word === undefined) this.#saidOfDrain.delete(node.id)
    else step.reports.push(() => this.#sayOfDrain(node, word, left))
  }

  /** What there is to say of the node's drain. Undefined: it is not drained, or still has its time. */
  #wordOfDrain(node: NodeRecord, left: number): DrainWord | undefined {
    if (node.drainStartedAtMs === 0n) return undefined
    if (left === 0) return 'drained'
    const isOver = this.#deps.clock.wallMs() >= Number(node.drainDeadlineMs)
    return isOver && !node.drainForce ? 'stuck' : undefined
  }

  #sayOfDrain(node: Held<NodeRecord>, word: DrainWord, left: number): void {
    if (this.#saidOfDrain.get(node.id) === word) return
    this.#saidOfDrain.set(node.id, word)
    const { report, state } = this.#deps
    if (word === 'drained') report.nodeDrained(node.record)
    else report.drainStuck(node.record, left, whatDrainWaitsFor(state, node.id))
  }
}

type DrainWord = 'drained' | 'stuck'

interface Welcomed {
  readonly node: NodeRecord
  readonly settled: Settlement
  /** What is to be said once it is stored. */
  readonly reports: readonly Done[]
}

/** A session of it begins: what it had been given up for turns out to be no more than a broken link, or more. */
function withReturn(record: NodeRecord, hello: Hello, watch: Watch): NodeRecord {
  if (record.node!.status!.phase !== NodePhase.OFFLINE) return record
  const isSame = record.bootId === hello.bootId && record.instanceId === hello.instanceId
  return { ...record, history: historyWithReturn(record, watch, isSame) }
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
