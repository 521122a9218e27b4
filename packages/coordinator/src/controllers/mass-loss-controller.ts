/**
 * Watches for many nodes vanishing together, says for each node that is given up how long its replicas are held, and lets
 * them go again. What it decides by is on the nodes' records, so that a restart in the middle changes nothing.
 */
import {
  MassLossStatusSchema,
  NodePhase,
  type MassLossStatus,
  type NodeRecord,
} from '@cloudless/api'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '@cloudless/base'
import type { LiveNodes } from '../membership/live-nodes.ts'
import {
  beginMassLoss,
  calm,
  stepMassLoss,
  type HeldNode,
  type MassLoss,
  type MassLossOptions,
  type MassLossStep,
} from '../membership/mass-loss.ts'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'
import type { Reporter } from './reporter.ts'

export interface MassLossControllerDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly liveNodes: Pick<LiveNodes, 'census'>
  readonly report: Reporter
  /** The node's replicas are to be replaced from now on. */
  readonly onRelease: (nodeId: string) => void
}

/** Clocks may jump: it looks again at least this often while nodes are held. */
const lookMsMax = 60_000

export class MassLossController {
  readonly #deps: MassLossControllerDeps
  readonly #options: MassLossOptions
  readonly #held = new Map<string, HeldNode>()
  readonly #released = new Set<string>()
  /** When each was lost that was given up, held or not. */
  readonly #lostAtMs = new Map<string, number>()
  readonly #stopListening: () => void
  #state: MassLoss = calm
  #cancelTimer: (() => void) | undefined

  constructor(deps: MassLossControllerDeps, options: MassLossOptions) {
    this.#deps = deps
    this.#options = options
    for (const { id, record } of deps.state.all('node')) this.#follow(id, record)
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    // Whoever is told of those that are let go is made after us.
    if (this.#held.size > 0) this.#cancelTimer = deps.clock.after(0, () => this.#step())
  }

  /** Until when the replicas of a node that is given up now are not to be replaced, unix milliseconds; 0: at once. */
  heldUntilMs(): number {
    const { clock, liveNodes } = this.#deps
    const nowMs = clock.wallMs()
    const census = liveNodes.census()
    this.#take(
      beginMassLoss(this.#state, census, { lostAtMs: this.#lostAtMs }, nowMs, this.#options),
    )
    return this.#state.kind === 'held' ? nowMs + this.#options.holdMs : 0
  }

  /** Whether the node's replicas need not be held any longer. */
  isReleased(nodeId: string, heldUntilMs: number): boolean {
    return this.#released.has(nodeId) || heldUntilMs <= this.#deps.clock.wallMs()
  }

  /** Of those that are held now, to be shown; undefined: there are none. */
  status(): MassLossStatus | undefined {
    if (this.#state.kind === 'calm') return undefined
    const untilMs = Math.max(0, ...[...this.#held.values()].map((node) => node.heldUntilMs))
    return create(MassLossStatusSchema, {
      sinceMs: BigInt(Math.round(this.#state.sinceMs)),
      vanished: this.#state.vanished,
      held: this.#held.size,
      untilMs: BigInt(Math.round(untilMs)),
    })
  }

  get heldCount(): number {
    return this.#held.size
  }

  close(): void {
    this.#stopListening()
    this.#cancelTimer?.()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    let moved = false
    for (const change of changes) {
      if (change.kind !== 'node') continue
      moved = this.#follow(change.id, (change as RecordChange<'node'>).after) || moved
    }
    if (moved) this.#step()
  }

  /** Whether it is away or held now and was not, or the other way round. */
  #follow(nodeId: string, record: NodeRecord | undefined): boolean {
    const wasAway = this.#lostAtMs.has(nodeId)
    const isAway = record !== undefined && isOffline(record)
    if (isAway) this.#lostAtMs.set(nodeId, Number(record.lostAtMs))
    else this.#lostAtMs.delete(nodeId)
    const before = this.#held.get(nodeId)
    const after = record && heldNodeOf(nodeId, record)
    if (after) this.#held.set(nodeId, after)
    else this.#held.delete(nodeId)
    if (after === undefined) this.#released.delete(nodeId)
    return wasAway !== isAway || (before === undefined) !== (after === undefined)
  }

  #step(): void {
    const nowMs = this.#deps.clock.wallMs()
    const held = [...this.#held.values()].filter(({ nodeId }) => !this.#released.has(nodeId))
    const { silent } = this.#deps.liveNodes.census()
    const absent = { held, lostAtMs: this.#lostAtMs, silent }
    const step = stepMassLoss(this.#state, absent, nowMs, this.#options)
    this.#take(step)
    for (const nodeId of step.release) this.#released.add(nodeId)
    this.#wakeAt(step.wakeAtMs, nowMs)
    for (const nodeId of step.release) this.#deps.onRelease(nodeId)
  }

  #take({ state, word }: Pick<MassLossStep, 'state' | 'word'>): void {
    const before = this.#state
    this.#state = state
    if (word === 'begun' && state.kind === 'held') {
      this.#deps.report.massLossBegun(state.vanished, this.#deps.liveNodes.census().present)
      this.#wakeAt(state.changedAtMs, state.changedAtMs)
    }
    if (word === 'over' && before.kind === 'held') {
      this.#deps.report.massLossOver(before.vanished, this.#deps.clock.wallMs() - before.sinceMs)
    }
  }

  #wakeAt(atMs: number, nowMs: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#state.kind === 'calm') return
    const delayMs = Math.min(Math.max(1, Math.ceil(atMs - nowMs)), lookMsMax)
    this.#cancelTimer = this.#deps.clock.after(delayMs, () => this.#step())
  }
}

function isOffline(record: NodeRecord): boolean {
  return record.node!.status!.phase === NodePhase.OFFLINE
}

function heldNodeOf(nodeId: string, record: NodeRecord): HeldNode | undefined {
  if (!isOffline(record) || record.heldUntilMs === 0n) return undefined
  return { nodeId, lostAtMs: Number(record.lostAtMs), heldUntilMs: Number(record.heldUntilMs) }
}
