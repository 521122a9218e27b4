/**
 * Where waiting replicas go, decided against the newest picture of the cluster: one transaction, and what to say of it once
 * it is committed.
 */
import {
  ReplicaState,
  type NodeRecord,
  type PendingReason,
  type ReplicaRecord,
} from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { Precondition, Write } from '@cloudless/metadata'
import { schedule, type SchedulePhase } from '@cloudless/scheduler'
import type { Placed, Unplaceable } from '@cloudless/scheduler'
import {
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
} from '../state/cluster-state.ts'
import { isOver } from './job-attempts.ts'
import { nodesNotWorthMovingTo } from './rebalance-moves.ts'
import { withStatus } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import type { SchedulerView } from './scheduler-view.ts'
import type { Refused } from './waiting-replicas.ts'
import { WaitingWords } from './waiting-words.ts'

export interface PlacementDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly clock: Clock
  readonly report: Reporter
}

type Say = () => void

interface Draft {
  readonly preconditions: Precondition[]
  readonly writes: Write[]
  readonly say: Say[]
  readonly words: WaitingWords
}

export interface PlacementOutcome {
  readonly placed: number
  readonly refused: readonly Refused[]
  readonly say: Say
}

/** `spentMs` grows by what filtering and scoring take. */
export function decidePlacements(
  deps: PlacementDeps,
  ids: readonly string[],
  spentMs: Record<SchedulePhase, number>,
): Decision<PlacementOutcome> {
  const { state, view, clock } = deps
  const heldById = new Map<string, Held<ReplicaRecord>>()
  for (const id of ids) {
    const held = state.held('replica', id)
    if (held && needsPlace(held.record)) heldById.set(id, held)
  }
  const pending = [...heldById.values()].map(({ record }) =>
    view.pendingOf(record, {
      excludedNodeIds: [...excludedNodeIds(state, record), ...nodesNotWorthMovingTo(deps, record)],
      avoidedNodeIds: avoidedNodeIds(state, record),
    }),
  )
  const placements = schedule(view.table, pending, {
    weights: view.configuration().weights,
    around: (phase, work) => {
      const startMs = clock.monotonicMs()
      const result = work()
      spentMs[phase] += clock.monotonicMs() - startMs
      return result
    },
  })
  const words = new WaitingWords(state)
  const draft: Draft = { preconditions: [], writes: [], say: [], words }
  const nodeIds = new Set<string>()
  const refused: Refused[] = []
  for (const placement of placements) {
    const held = heldById.get(placement.replicaId)!
    if (placement.kind === 'placed') {
      nodeIds.add(placement.nodeId)
      place(deps, held, placement, draft)
    } else {
      leave(deps, held, placement, draft)
      refused.push({ id: held.id, kind: view.kindOf(held.record), filters: placement.filters })
    }
  }
  // A node that has become less since the scheduler looked would be given more than it has.
  for (const nodeId of nodeIds) {
    draft.preconditions.push(unchanged('node', state.held('node', nodeId)!))
  }
  const placed = placements.length - refused.length
  const result = { placed, refused, say: () => draft.say.forEach((say) => say()) }
  return { preconditions: draft.preconditions, writes: draft.writes, result }
}

function place(
  { state, clock, report }: PlacementDeps,
  held: Held<ReplicaRecord>,
  placement: Placed,
  draft: Draft,
): void {
  const node = state.get('node', placement.nodeId)!
  const predecessor = state.get('replica', held.record.status!.replaces)
  const record = placedOn(held.record, node, placement.score, clock.wallMs())
  draft.preconditions.push(unchanged('replica', held))
  draft.writes.push(putRecord('replica', held.id, record))
  draft.say.push(() => report.replicaPlaced(record, node, placement.score, predecessor))
}

function leave(
  { report }: PlacementDeps,
  held: Held<ReplicaRecord>,
  placement: Unplaceable,
  { words, ...draft }: Draft,
): void {
  const { status } = held.record
  // What room is being made for knows better why it waits.
  if (status!.nominatedNodeId !== '') return
  const { pendingReasons, message } = words.of(held.record, placement)
  const isKnown = status!.message === message
  if (isKnown && sameReasons(status!.pendingReasons, pendingReasons)) return
  const record = withStatus(held.record, { pendingReasons, reason: 'Unschedulable', message })
  const isReplacement = status!.replaces !== ''
  draft.preconditions.push(unchanged('replica', held))
  draft.writes.push(putRecord('replica', held.id, record))
  draft.say.push(() => report.replicaUnplaceable(record, message, isReplacement))
}

/** It has none, and is wanted. */
export function needsPlace(record: ReplicaRecord): boolean {
  return record.status!.nodeId === '' && !record.stopping
}

/**
 * A replica that stands in for another does not go back to the node that one is to leave; one of a newer revision does:
 * who updates or restarts the workload has thought again. Nodes that are drained or tainted refuse it by themselves.
 */
export function excludedNodeIds(state: ClusterState, record: ReplicaRecord): string[] {
  const { replaces } = record.status!
  const predecessor = replaces === '' ? undefined : state.get('replica', replaces)
  if (!predecessor) return []
  const sameRevision = predecessor.status!.revision === record.status!.revision
  return predecessor.replaceWanted && sameRevision ? [predecessor.status!.nodeId] : []
}

/** Where the attempt that this one repeats has failed: the node may be why. */
export function avoidedNodeIds(state: ClusterState, record: ReplicaRecord): string[] {
  const predecessor = state.get('replica', record.status!.replaces)
  return predecessor && isOver(predecessor) ? [predecessor.status!.nodeId] : []
}

function placedOn(
  replica: ReplicaRecord,
  node: NodeRecord,
  score: number,
  nowMs: number,
): ReplicaRecord {
  return withStatus(replica, {
    state: ReplicaState.SCHEDULED,
    nodeId: node.node!.id,
    nodeName: node.node!.name,
    nominatedNodeId: '',
    fragmentId: `frag-${replica.status!.id}`,
    scheduledAtMs: BigInt(nowMs),
    pendingReasons: [],
    reason: '',
    message: '',
    score,
  })
}

function sameReasons(a: readonly PendingReason[], b: readonly PendingReason[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, n) => one.reason === b[n]!.reason && one.nodeCount === b[n]!.nodeCount)
  )
}
