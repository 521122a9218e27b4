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

export class NodeHistories {
  readonly #deps: NodeHistoriesDeps
  readonly #startedAtMs: number
  readonly #stops: readonly (() => void)[]
  /** By node, since they were last written. */
  readonly #outcomes = new Map<string, Outcomes>()
  #writing: Promise<void> | undefined

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
      const outcomes = this.#outcomes.get(nodeId) ?? { ok: 0, failed: 0 }
      outcomes[outcome]++
      this.#outcomes.set(nodeId, outcomes)
    }
  }

  #round(): void {
    if (this.#writing !== undefined) return
    const { state, clock, report } = this.#deps
    const nowMs = clock.wallMs()
    const due = [...state.all('node')].filter(({ record }) => isDue(record, nowMs))
    if (due.length === 0) return
    const some = firstThatFit(due)
    const taken = new Map(some.map(({ id }) => [id, this.#outcomes.get(id)] as const))
    for (const { id } of some) this.#outcomes.delete(id)
    this.#writing = state
      .update(() => this.#decide(taken))
      .then(
        () => undefined,
        (reason: unknown) => report.error("storing the nodes' histories", reason),
      )
      .finally(() => (this.#writing = undefined))
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
