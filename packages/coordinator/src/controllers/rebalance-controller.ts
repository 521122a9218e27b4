/**
 * Gives work back to nodes that come, return or get room: moves replicas of the workloads that opted in, a few at a time.
 *
 * Level-triggered: it looks at each such workload every so often, a while after a node has changed, and whenever one that
 * is on the move does. Where no workload has opted in it listens, and does nothing.
 */
import { NodePhase, type NodeRecord, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import type { Clock, Random } from '@cloudless/base'
import {
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
  type RecordChange,
} from '../state/cluster-state.ts'
import { firstThatFit } from '../state/transaction-limits.ts'
import { drainProgress } from './drain-progress.ts'
import { allowsMoves, isMoving, planRebalance, rebalancedReason } from './plan-rebalance.ts'
import { chooseMove, type ChosenMove } from './rebalance-moves.ts'
import type { Reporter } from './reporter.ts'
import type { SchedulerView } from './scheduler-view.ts'
import { WorkQueue } from './work-queue.ts'

export interface RebalanceControllerDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly clock: Clock
  readonly random: Random
  readonly report: Reporter
}

export interface RebalanceControllerOptions {
  /** Every workload that opted in is looked at this often, milliseconds. */
  readonly sweepMs: number
  /** And so long after a node has changed: what comes back with it is settled by then. */
  readonly settleMs: number
  /** A loss of a node may be one of many, and most return: nothing is moved so soon after. */
  readonly quietMs: number
}

export const rebalanceDefaults: RebalanceControllerOptions = {
  sweepMs: 30_000,
  settleMs: 5_000,
  quietMs: 60_000,
}

type Done = () => void

/** A workload at rest is looked at this often although nothing changed: what only moves scores is not told of. */
const restMsMax = 600_000

/** No move was worth making. */
interface Rest {
  /** Of the nodes and what they hold. */
  readonly version: number
  readonly untilMs: number
}

export class RebalanceController {
  readonly #deps: RebalanceControllerDeps
  readonly #options: RebalanceControllerOptions
  readonly #queue: WorkQueue
  readonly #stops: readonly (() => void)[]
  /** Workloads that opted in, and those of which something is on the move. */
  readonly #optedIn = new Set<string>()
  readonly #moving = new Set<string>()
  readonly #resting = new Map<string, Rest>()
  /** Counts the changes of what the scheduler sees. */
  #version = 0
  /** Of this sweep, until a node is something else; undefined: not looked yet. */
  #calm: boolean | undefined
  #cancelLook: (() => void) | undefined
  #lookAtMs = 0

  constructor(deps: RebalanceControllerDeps, options = rebalanceDefaults) {
    this.#deps = deps
    this.#options = options
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#reconcile(workloadId),
      onError: (workloadId, reason) =>
        deps.report.error(`balancing workload ${workloadId} over the nodes`, reason),
    })
    this.#stops = [
      deps.state.listen((changes) => this.#onChanges(changes)),
      deps.view.listen(() => this.#version++),
    ]
    for (const { id, record } of deps.state.all('workload')) this.#followWorkload(id, record)
    for (const { record } of deps.state.all('replica')) this.#followReplica(record)
    this.#lookWithin(options.settleMs)
  }

  close(): Promise<void> {
    for (const stop of this.#stops) stop()
    this.#cancelLook?.()
    return this.#queue.close()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind === 'workload') {
        this.#followWorkload(change.id, change.after as WorkloadRecord | undefined)
      }
      if (change.kind === 'replica') {
        const { before, after } = change as RecordChange<'replica'>
        this.#followReplica((after ?? before)!)
      }
      if (change.kind === 'node') this.#followNode(change as RecordChange<'node'>)
    }
  }

  #followWorkload(id: string, record: WorkloadRecord | undefined): void {
    this.#resting.delete(id)
    if (record && allowsMoves(record)) {
      if (!this.#optedIn.has(id)) this.#lookWithin(this.#options.settleMs, id)
    } else this.#optedIn.delete(id)
    if (this.#moving.has(id)) this.#queue.add(id)
  }

  #followReplica(replica: ReplicaRecord): void {
    const { workloadId } = replica.status!
    this.#resting.delete(workloadId)
    if (isMoving(replica)) this.#moving.add(workloadId)
    if (this.#moving.has(workloadId)) this.#queue.add(workloadId)
  }

  /** It may have more to give than before. */
  #followNode({ before, after }: RecordChange<'node'>): void {
    if (before === undefined || after === undefined || hasOtherCalm(before, after)) {
      this.#calm = undefined
    }
    if (after === undefined || (before && !hasMoreToGive(before, after))) return
    this.#lookWithin(this.#options.settleMs)
  }

  /** Looks at all, sooner than it would have otherwise. */
  #lookWithin(delayMs: number, optingIn?: string): void {
    if (optingIn !== undefined) this.#optedIn.add(optingIn)
    if (this.#optedIn.size === 0) return
    const { clock } = this.#deps
    const atMs = clock.monotonicMs() + delayMs
    if (this.#cancelLook && this.#lookAtMs <= atMs) return
    this.#cancelLook?.()
    this.#lookAtMs = atMs
    this.#cancelLook = clock.after(delayMs, () => {
      this.#cancelLook = undefined
      this.#calm = undefined
      for (const id of this.#optedIn) this.#queue.add(id)
      this.#lookWithin(this.#options.sweepMs)
    })
  }

  async #reconcile(workloadId: string): Promise<number | undefined> {
    const { state, clock } = this.#deps
    if (this.#isResting(workloadId)) return undefined
    let wakeAtMs = 0
    const done = await state.update((): Decision<Done> | undefined => {
      const workload = state.held('workload', workloadId)
      const replicas = state.replicasOfWorkload(workloadId)
      const records = replicas.map((held) => held.record)
      if (!records.some(isMoving)) this.#moving.delete(workloadId)
      const now = { nowMs: clock.wallMs(), isCalm: (this.#calm ??= this.#isCalm()) }
      const plan = planRebalance(workload?.record, records, now)
      wakeAtMs = plan.kind === 'rest' ? plan.wakeAtMs : 0
      if (plan.kind === 'take-back') return this.#takeBack(plan.replicas, replicas)
      if (plan.kind === 'rest' || workload === undefined) return undefined
      const move = chooseMove(this.#deps.view, plan.candidates)
      if (move === undefined && !this.#moving.has(workloadId)) this.#rest(workloadId)
      return move && this.#move(workload, move)
    })
    done?.()
    return wakeAtMs > 0 ? Math.max(1, wakeAtMs - clock.wallMs()) : undefined
  }

  #rest(workloadId: string): void {
    const untilMs = this.#deps.clock.monotonicMs() + restMsMax
    this.#resting.set(workloadId, { version: this.#version, untilMs })
  }

  /** A look would find what the last one did. */
  #isResting(workloadId: string): boolean {
    const rest = this.#resting.get(workloadId)
    if (rest === undefined) return false
    return rest.version === this.#version && this.#deps.clock.monotonicMs() < rest.untilMs
  }

  #move(workload: Held<WorkloadRecord>, { replica, toNodeId }: ChosenMove): Decision<Done> {
    const { state, clock, report } = this.#deps
    const { id } = replica.status!
    const moved = { ...replica, replaceWanted: true, replaceReason: rebalancedReason }
    const lastRebalancedAtMs = BigInt(clock.wallMs())
    return {
      preconditions: [
        unchanged('workload', workload),
        unchanged('replica', state.held('replica', id)!),
      ],
      writes: [
        putRecord('replica', id, moved),
        putRecord('workload', workload.id, { ...workload.record, lastRebalancedAtMs }),
      ],
      result: () => report.workloadRebalanced(workload.record, moved, state.get('node', toNodeId)),
    }
  }

  #takeBack(
    staying: readonly ReplicaRecord[],
    replicas: readonly Held<ReplicaRecord>[],
  ): Decision<Done> {
    const ids = new Set(staying.map((r) => r.status!.id))
    const held = firstThatFit(replicas.filter(({ id }) => ids.has(id)))
    return {
      preconditions: held.map((replica) => unchanged('replica', replica)),
      writes: held.map(({ id, record }) =>
        putRecord('replica', id, { ...record, replaceWanted: false, replaceReason: '' }),
      ),
      result: () => undefined,
    }
  }

  /** No node is being emptied, and none was lost lately or with many others: there are more urgent moves to make. */
  #isCalm(): boolean {
    const { state, clock } = this.#deps
    const nowMs = clock.wallMs()
    for (const { id, record } of state.all('node')) {
      const { phase, lastTransitionMs } = record.node!.status!
      if (phase === NodePhase.OFFLINE) {
        const isRecent = nowMs < Number(lastTransitionMs) + this.#options.quietMs
        if (isRecent || record.heldUntilMs > 0n) return false
      } else if (record.drainStartedAtMs > 0n) {
        const replicas = state.replicasOnNode(id).map((held) => held.record)
        if (drainProgress(replicas).left > 0) return false
      }
    }
    return true
  }
}

/** What decides whether all is calm; nodes are written for other things all the time. */
function hasOtherCalm(before: NodeRecord, after: NodeRecord): boolean {
  const [was, is] = [before.node!.status!, after.node!.status!]
  return (
    was.phase !== is.phase ||
    was.lastTransitionMs !== is.lastTransitionMs ||
    before.heldUntilMs !== after.heldUntilMs ||
    before.drainStartedAtMs !== after.drainStartedAtMs
  )
}

function hasMoreToGive(before: NodeRecord, after: NodeRecord): boolean {
  const isReady = ({ node }: NodeRecord): boolean => node!.status!.phase === NodePhase.READY
  if (!isReady(after)) return false
  const [had, has] = [before.node!.allocatable, after.node!.allocatable]
  return (
    !isReady(before) ||
    (has?.cpuMillicores ?? 0) > (had?.cpuMillicores ?? 0) ||
    (has?.memoryBytes ?? 0n) > (had?.memoryBytes ?? 0n)
  )
}
