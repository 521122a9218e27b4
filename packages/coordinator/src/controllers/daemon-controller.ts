/**
 * Carries out the plans of daemons: one on every node that its placement allows, also on those that join later.
 *
 * What each has on each node is kept on a board, so a change of one node or one replica costs a look at that node; only a
 * change of the daemon itself makes all nodes be looked at.
 */
import { WorkloadType, workloadTypeOf, type WorkloadRecord } from '@cloudless/api'
import type { Held, RecordChange } from '../state/cluster-state.ts'
import { carryOut, type CarryOutDeps } from './carry-out.ts'
import { DaemonBoard } from './daemon-board.ts'
import { isDaemon } from './job-attempts.ts'
import { planUpdate } from './plan-daemon.ts'
import { planDeletion } from './plan-deletion.ts'
import { nothing, retire, type NewReplica, type WorkloadPlan } from './workload-plan.ts'
import type { SchedulerView, ViewChange } from './scheduler-view.ts'
import { WorkQueue } from './work-queue.ts'

export interface DaemonControllerDeps extends CarryOutDeps {
  readonly view: Pick<SchedulerView, 'kindOfWorkload' | 'listen' | 'table'>
}

/** Looked at in one go; the rest follows at once. */
const nodesAtOnceMax = 256

export class DaemonController {
  readonly #deps: DaemonControllerDeps
  readonly #queue: WorkQueue
  readonly #stops: (() => void)[]
  readonly #boards = new Map<string, DaemonBoard>()

  constructor(deps: DaemonControllerDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#reconcile(workloadId),
      onError: (workloadId, reason) =>
        deps.report.error(`bringing daemon ${workloadId} to its nodes`, reason),
    })
    this.#stops = [
      deps.state.listen((changes) => this.#onChanges(changes)),
      deps.view.listen((change) => this.#onView(change)),
    ]
    for (const { id, record } of deps.state.all('workload')) {
      if (isOfDaemon(record)) this.#queue.add(id)
    }
  }

  close(): Promise<void> {
    for (const stop of this.#stops) stop()
    return this.#queue.close()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      const { kind, id, before, after } = change
      if (kind === 'workload' && isOfDaemon((after ?? before) as WorkloadRecord)) {
        this.#queue.add(id)
      }
      if (kind === 'node' && after === undefined) this.#lookAt(id)
      if (kind === 'replica') this.#onReplica(change as RecordChange<'replica'>)
    }
  }

  #onReplica({ before, after }: RecordChange<'replica'>): void {
    const replica = (after ?? before)!
    if (!isDaemon(replica)) return
    const { workloadId } = replica.status!
    this.#boards.get(workloadId)?.follow(before, after)
    this.#queue.add(workloadId)
  }

  #onView({ nodeIds, images, everything }: ViewChange): void {
    // What its image is made for, and what the scheduler goes by, may change what suits a daemon everywhere.
    for (const [workloadId, { image }] of this.#boards) {
      if (!everything && !images.has(image)) continue
      this.#boards.delete(workloadId)
      this.#queue.add(workloadId)
    }
    for (const nodeId of nodeIds) this.#lookAt(nodeId)
  }

  #lookAt(nodeId: string): void {
    for (const [workloadId, board] of this.#boards) {
      const countedBefore = board.counted
      board.lookAt(nodeId)
      if (board.isDue || board.counted !== countedBefore) this.#queue.add(workloadId)
    }
  }

  async #reconcile(workloadId: string): Promise<number | undefined> {
    const { state } = this.#deps
    const say = await state.update(() => {
      const workload = state.held('workload', workloadId)
      if (workload === undefined || !isOfDaemon(workload.record)) {
        this.#boards.delete(workloadId)
        return undefined
      }
      if (workload.record.deletedAtMs > 0n) {
        this.#boards.delete(workloadId)
        const replicas = state.replicasOfWorkload(workloadId).map((held) => held.record)
        const plan = planDeletion(replicas, workload.record.deleteGraceMs)
        return carryOut(this.#deps, workload, plan)
      }
      const board = this.#boardOf(workload)
      return carryOut(this.#deps, workload, planOf(board), countedOn(workload.record, board))
    })
    say?.()
    return this.#boards.get(workloadId)?.isDue ? 0 : undefined
  }

  /** Made anew when the daemon itself is another. */
  #boardOf({ id, record }: Held<WorkloadRecord>): DaemonBoard {
    const known = this.#boards.get(id)
    if (known !== undefined && isSameDaemon(known.workload, record)) return known
    const { state, view } = this.#deps
    const deps = { state, node: (nodeId: string) => view.table.node(nodeId) }
    const nodeIds = [...state.all('node')].map((node) => node.id)
    const board = new DaemonBoard(deps, record, view.kindOfWorkload(record.workload!), nodeIds)
    this.#boards.set(id, board)
    return board
  }
}

function isOfDaemon({ workload }: WorkloadRecord): boolean {
  return workloadTypeOf(workload!.spec) === WorkloadType.DAEMON
}

/** What is counted on its record, beside it, is no other daemon. */
function isSameDaemon(one: WorkloadRecord, other: WorkloadRecord): boolean {
  return one === other || one.workload === other.workload
}

function planOf(board: DaemonBoard): WorkloadPlan {
  const { revision } = board.workload.workload!
  const create: NewReplica[] = []
  const stop: WorkloadPlan['stop'][number][] = []
  const forget: WorkloadPlan['forget'][number][] = []
  for (const [nodeId, plan] of board.plans(nodesAtOnceMax)) {
    if (plan.create) create.push({ replaces: '', revision, boundNodeId: nodeId })
    stop.push(...plan.stop)
    forget.push(...plan.forget)
  }
  const rollout = board.workload.workload!.spec!.rollout
  const going = new Set([...stop.map(({ replica }) => replica), ...forget])
  const outdated = planUpdate(rollout, board, board.outdated)
  const update = retire(
    outdated.filter((replica) => !going.has(replica)),
    'updated',
  )
  return {
    ...nothing,
    create,
    stop: [...stop, ...update.stop],
    forget: [...forget, ...update.forget],
  }
}

/** The record with the nodes counted; undefined when it says so already. */
function countedOn(record: WorkloadRecord, { counted }: DaemonBoard): WorkloadRecord | undefined {
  return record.daemonNodes === counted ? undefined : { ...record, daemonNodes: counted }
}
