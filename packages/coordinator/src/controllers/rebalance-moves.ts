/** Where the replicas of a workload would clearly be better off, as the scheduler sees it. Leaves its table as it was. */
import type { ReplicaRecord } from '@cloudless/api'
import { schedule, type NodeView, type ReplicaKind } from '@cloudless/scheduler'
import type { ClusterState } from '../state/cluster-state.ts'
import { isMoving, isStaying } from './plan-rebalance.ts'
import { countOf, isWorthMoving, type Crowd, type Seat } from './rebalance-worth.ts'
import type { SchedulerView } from './scheduler-view.ts'

export interface ChosenMove {
  readonly replica: ReplicaRecord
  readonly toNodeId: string
}

/** Nodes whose replicas are tried in one look, the most crowded first. */
const sourcesMax = 8

/** Of the candidates, which replica to move first; undefined when all are well where they are. */
export function chooseMove(
  view: SchedulerView,
  candidates: readonly ReplicaRecord[],
): ChosenMove | undefined {
  const placed = candidates.filter((r) => r.status!.nodeId !== '')
  const newestByNode = new Map<string, ReplicaRecord>()
  for (const replica of placed.toSorted(byAge)) newestByNode.set(replica.status!.nodeId, replica)
  const crowd = crowdOf(view, placed)
  const sources = [...newestByNode.values()].sort(byCrowdOf(view, crowd)).slice(0, sourcesMax)
  for (const replica of sources) {
    const pending = view.pendingOf(replica, { excludedNodeIds: worseNodes(view, replica, crowd) })
    if (pending.excludedNodeIds.length >= view.table.nodeCount) continue
    const successor = { ...pending, id: `successor of ${replica.status!.id}` }
    const [placement] = schedule(view.table, [successor], { weights: view.configuration().weights })
    if (placement?.kind === 'placed') return { replica, toNodeId: placement.nodeId }
  }
  return undefined
}

/** For the replacement of a replica that is moved to balance nodes: where it is not worth going. None for others. */
export function nodesNotWorthMovingTo(
  { state, view }: { readonly state: ClusterState; readonly view: SchedulerView },
  successor: ReplicaRecord,
): string[] {
  const predecessor = movedBy(state, successor)
  if (predecessor === undefined) return []
  const { workloadId } = predecessor.status!
  const staying = state
    .replicasOfWorkload(workloadId)
    .map((held) => held.record)
    .filter((r) => isStaying(r) && r.status!.nodeId !== '')
  return worseNodes(view, predecessor, crowdOf(view, [...staying, predecessor]))
}

/** It takes over from one that is moved to balance nodes: nobody else has to make room for it. */
export function isOfMove(state: ClusterState, replicaId: string): boolean {
  const record = state.get('replica', replicaId)
  return record !== undefined && movedBy(state, record) !== undefined
}

function movedBy(state: ClusterState, { status }: ReplicaRecord): ReplicaRecord | undefined {
  const predecessor = status!.replaces === '' ? undefined : state.get('replica', status!.replaces)
  return predecessor && isMoving(predecessor) ? predecessor : undefined
}

function worseNodes(view: SchedulerView, replica: ReplicaRecord, crowd: Crowd): string[] {
  const kind = view.kindOf(replica)
  const source = view.table.node(replica.status!.nodeId)
  const nodes = [...view.table.nodes()]
  if (source === undefined) return nodes.map(({ id }) => id)
  const from = seatOf(view, source, kind)
  const fromLoadAfter = seatOf(view, source, kind, -1).load
  return nodes
    .filter((node) => {
      const to = seatOf(view, node, kind)
      const toLoadAfter = seatOf(view, node, kind, 1).load
      return !isWorthMoving(crowd, { from, to, fromLoadAfter, toLoadAfter })
    })
    .map(({ id }) => id)
}

function crowdOf(view: SchedulerView, replicas: readonly ReplicaRecord[]): Crowd {
  const onNode = new Map<string, number>()
  const inPlace = new Map<string, number>()
  for (const replica of replicas) {
    const { nodeId } = replica.status!
    const node = view.table.node(nodeId)
    if (node === undefined) continue
    const place = placeOf(node, view.kindOf(replica))
    onNode.set(nodeId, countOf(onNode, nodeId) + 1)
    inPlace.set(place, countOf(inPlace, place) + 1)
  }
  return { onNode, inPlace }
}

/** `more`: replicas of the kind that would come to it. */
function seatOf({ table }: SchedulerView, node: NodeView, kind: ReplicaKind, more = 0): Seat {
  const reserved = table.reservedOn(node.id)
  const { cpuMillis, memoryBytes } = kind.requests
  const load = Math.max(
    share(reserved.cpuMillis + more * cpuMillis, node.allocatable.cpuMillis),
    share(reserved.memoryBytes + more * memoryBytes, node.allocatable.memoryBytes),
  )
  return { nodeId: node.id, place: placeOf(node, kind), load }
}

function placeOf(node: NodeView, { spreadTopology }: ReplicaKind): string {
  if (spreadTopology === 'zone') return node.zone
  return spreadTopology === 'region' ? node.region : node.id
}

function share(used: number, of: number): number {
  return of > 0 ? used / of : 0
}

function byAge(a: ReplicaRecord, b: ReplicaRecord): number {
  const byTime = Number(a.status!.createdAtMs - b.status!.createdAtMs)
  return byTime || (a.status!.id < b.status!.id ? -1 : 1)
}

function byCrowdOf(
  view: SchedulerView,
  crowd: Crowd,
): (a: ReplicaRecord, b: ReplicaRecord) => number {
  const rankOf = (replica: ReplicaRecord): readonly number[] => {
    const kind = view.kindOf(replica)
    const node = view.table.node(replica.status!.nodeId)
    if (node === undefined) return [0, 0, 0]
    const seat = seatOf(view, node, kind)
    return [countOf(crowd.inPlace, seat.place), countOf(crowd.onNode, seat.nodeId), seat.load]
  }
  return (a, b) => {
    const [left, right] = [rankOf(a), rankOf(b)]
    const differing = left.findIndex((value, n) => value !== right[n])
    return differing === -1 ? byAge(a, b) : right[differing]! - left[differing]!
  }
}
