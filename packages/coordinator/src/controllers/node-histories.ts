/**
 * Keeps what is remembered of the nodes on their records: how their replicas fared, as it happens and in one write for many,
 * and the time that has gone by, every ten minutes a node, so that thousands of nodes write seldom and not together.
 *
 * What a crash of ours loses is the outcomes and the time since the last write: nothing that a decision hangs on.
 */
import { NodePhase, ReplicaState, type NodeRecord, type ReplicaRecord } from '@cloudless/api'
import { every, type Clock } from '@cloudless/base'
import { historyUntil, historyWithOutcomes } from '../membership/node-history.ts'
import {
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
  type RecordChange,
} from '../state/cluster-state.ts'
import { firstThatFit } from '../state/transaction-limits.ts'
import type { Reporter } from './reporter.ts'

export interface NodeHistoriesDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly report: Reporter
}

interface Outcomes {
  ok: number
  failed: number
}

const roundMs = 10_000
const flushMs = 600_000
/** Nodes in one write: it takes a condition on each, and one of them that changes meanwhile makes it be tried again. */
const nodesPerWriteMax = 50

export class NodeHistories {
  readonly #deps: NodeHistoriesDeps
  readonly #startedAtMs: number
  readonly #stops: readonly (() => void)[]
  /** By node, since they were last written. */
  readonly #outcomes = new Map<string, Outcomes>()
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(deps: NodeHistoriesDeps) {
    this.#deps = deps
    this.#startedAtMs = deps.clock.wallMs()
    this.#stops = [
      deps.state.listen((changes) => this.#onChanges(changes)),
      every(deps.clock, roundMs, () => this.#round()),
    ]
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const stop of this.#stops) stop()
    await this.#writing
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind === 'node' && change.after === undefined) this.#outcomes.delete(change.id)
      if (change.kind !== 'replica') continue
      const { before, after } = change as RecordChange<'replica'>
      const outcome = before && outcomeOf(before, after)
      if (outcome === undefined) continue
      const { nodeId } = before!.status!
      this.#note(nodeId, { ok: 0, failed: 0, [outcome]: 1 })
    }
  }

  #note(nodeId: string, { ok, failed }: Outcomes): void {
    const noted = this.#outcomes.get(nodeId)
    this.#outcomes.set(nodeId, { ok: (noted?.ok ?? 0) + ok, failed: (noted?.failed ?? 0) + failed })
  }

  #round(): void {
    if (this.#writing !== undefined) return
    const { state, clock, report } = this.#deps
    const nowMs = clock.wallMs()
    const due = [...state.all('node')].filter(({ record }) => isDue(record, nowMs))
    if (due.length === 0) return
    this.#writing = this.#writeAll(due)
      .catch((reason: unknown) => report.error("storing the nodes' histories", reason))
      .finally(() => (this.#writing = undefined))
  }

  /** One write after the other; what follows one that fails is due again in the next round. */
  async #writeAll(due: readonly Held<NodeRecord>[]): Promise<void> {
    for (let at = 0; at < due.length && !this.#isClosed;) {
      const some = firstThatFit(due.slice(at, at + nodesPerWriteMax))
      if (some.length === 0) return
      await this.#write(some.map(({ id }) => id))
      at += some.length
    }
  }

  async #write(nodeIds: readonly string[]): Promise<void> {
    const { state } = this.#deps
    const taken = new Map(nodeIds.map((id) => [id, this.#outcomes.get(id)] as const))
    for (const id of nodeIds) this.#outcomes.delete(id)
    try {
      await state.update(() => this.#decide(taken))
    } catch (reason) {
      // They count with the next write, together with what came in meanwhile.
      for (const [id, outcomes] of taken) {
        if (outcomes && state.get('node', id)) this.#note(id, outcomes)
      }
      throw reason
    }
  }

  #decide(taken: ReadonlyMap<string, Outcomes | undefined>): Decision<void> {
    const { state, clock } = this.#deps
    const watch = { nowMs: clock.wallMs(), watchedSinceMs: this.#startedAtMs }
    const nodes = [...taken.keys()]
      .map((id) => state.held('node', id))
      .filter((held): held is Held<NodeRecord> => held !== undefined)
    return {
      preconditions: nodes.map((held) => unchanged('node', held)),
      writes: nodes.map(({ id, record }) => {
        const history = historyUntil(record, watch)
        const outcomes = taken.get(id)
        return putRecord('node', id, {
          ...record,
          history: outcomes ? historyWithOutcomes(history, outcomes) : history,
        })
      }),
      result: undefined,
    }
  }
}

/** Written every so often, each node at a time of its own: when it was last, or when it enrolled. */
function isDue({ node, history }: NodeRecord, nowMs: number): boolean {
  if (node!.status!.phase === NodePhase.ENROLLING) return false
  return nowMs - Number(history?.asOfMs ?? 0n) >= flushMs
}

/** How a replica fared on its node, when that turns out; undefined: it does not, or it was not the node's to tell. */
function outcomeOf(
  before: ReplicaRecord,
  after: ReplicaRecord | undefined,
): keyof Outcomes | undefined {
  const was = before.status!
  if (was.nodeId === '' || was.state === ReplicaState.LOST) return undefined
  if (after === undefined) return before.stopping && was.startedAtMs > 0n ? 'ok' : undefined
  const is = after.status!
  if (is.state === was.state) return undefined
  if (is.state === ReplicaState.FAILED) return 'failed'
  return is.state === ReplicaState.STOPPED ? 'ok' : undefined
}
