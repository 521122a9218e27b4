/**
 * What the scheduler thinks of each node for a replica, for people: every verdict by name, and one sentence. Pure.
 *
 *     runs on pi-kitchen, the best of 3 nodes that could take it (score 0.71); zone-b and zone-c have a replica already
 *     waits: 0 of 3 nodes: 2 not enough memory, 1 tainted gpu=only
 */
import { create } from '@bufbuild/protobuf'
import { NodeVerdictSchema, ScoreTermSchema, type NodeVerdict } from '@cloudless/api'
import { counted } from '@cloudless/base'
import {
  describeRejections,
  type NodeView,
  type Packing,
  type RejectionCount,
  type SpreadTopology,
  type Verdict,
} from '@cloudless/scheduler'

export interface ExplainedReplica {
  /** Every node's, best first, then the refused. */
  readonly verdicts: readonly Verdict[]
  /** Empty: it has no place. */
  readonly nodeId: string
  /** How being on that node is said, such as "runs on". */
  readonly verb: string
  /** How having no place is said: "waits" or "would wait". */
  readonly waiting: string
  /** Over what its workload's replicas are kept apart; empty: nothing. */
  readonly spreadTopology: SpreadTopology
  readonly packing: Packing
  /** How much less than the highest score is as good. */
  readonly tolerance: number
}

type FindNode = (nodeId: string) => NodeView | undefined
type Feasible = Extract<Verdict, { kind: 'feasible' }>

/** Scores of floating point that were added in another order are still the same score. */
const sameScore = 1e-9
const placesMax = 3

export function verdictMessages(
  verdicts: readonly Verdict[],
  chosenNodeId: string,
  findNode: FindNode,
): NodeVerdict[] {
  return verdicts.map((verdict) => {
    const { nodeId } = verdict
    const common = {
      nodeId,
      nodeName: findNode(nodeId)?.name ?? '',
      chosen: nodeId === chosenNodeId,
    }
    if (verdict.kind === 'rejected') {
      const { reason, filter } = verdict
      return create(NodeVerdictSchema, { ...common, reason, filter })
    }
    const { score, replicasInPlace } = verdict
    const terms = verdict.terms.map((term) => create(ScoreTermSchema, term))
    return create(NodeVerdictSchema, { ...common, score, replicasInPlace, terms })
  })
}

/** One sentence without a full stop. */
export function summaryOf(replica: ExplainedReplica, findNode: FindNode): string {
  const { verdicts, nodeId, verb, waiting } = replica
  const feasible = verdicts.filter((verdict) => verdict.kind === 'feasible')
  if (nodeId === '') return `${waiting}${whyWaiting(verdicts, feasible, findNode)}`
  const name = findNode(nodeId)?.name ?? nodeId
  const on = `${verb} ${name}`
  const chosen = verdicts.find((verdict) => verdict.nodeId === nodeId)
  if (chosen === undefined) return on
  if (chosen.kind === 'rejected') return `${on}, which would not take it now: ${chosen.reason}`
  const score = `(score ${chosen.score.toFixed(2)})`
  const best = feasible[0]!
  if (isBetter(best, chosen)) {
    const better = `${findNode(best.nodeId)?.name} would be chosen now (score ${best.score.toFixed(2)})`
    return `${on} ${score}; ${better}, and what has a place is not moved for that`
  }
  const rank =
    feasible.length === 1
      ? `the only one of ${counted(verdicts.length, 'node')} that could take it`
      : `the best of ${feasible.length} nodes that could take it`
  const apart = whereReplicasAre(feasible, chosen, replica.spreadTopology, findNode)
  return `${on}, ${rank} ${score}${whyNotHigher(feasible, chosen, replica)}${apart}`
}

/** The best is not always the highest score: fewer replicas on the node come first, and packing decides between near ones. */
function whyNotHigher(
  feasible: readonly Feasible[],
  chosen: Feasible,
  { packing, tolerance }: ExplainedReplica,
): string {
  let highest = 0
  for (const { score, replicasInPlace } of feasible) {
    if (replicasInPlace <= chosen.replicasInPlace) highest = Math.max(highest, score)
  }
  if (highest <= chosen.score + sameScore) return ''
  if (packing === 'best_fit') return '; best_fit packs tightly, whatever the scores'
  return highest <= chosen.score + tolerance + sameScore
    ? `; scores this near are equal, and ${packing} prefers it`
    : '; those with a higher score have more of its replicas'
}

/** The same reason of several nodes once, most common first. */
export function rejectionsOf(verdicts: readonly Verdict[]): RejectionCount[] {
  const counts = new Map<string, number>()
  for (const verdict of verdicts) {
    if (verdict.kind !== 'rejected') continue
    counts.set(verdict.reason, (counts.get(verdict.reason) ?? 0) + 1)
  }
  return [...counts]
    .map(([reason, nodeCount]) => ({ reason, nodeCount }))
    .sort((a, b) => b.nodeCount - a.nodeCount || (a.reason < b.reason ? -1 : 1))
}

function whyWaiting(
  verdicts: readonly Verdict[],
  feasible: readonly Feasible[],
  findNode: FindNode,
): string {
  const best = feasible[0]
  // Verdicts are of this moment: its turn to be placed may be about to come.
  if (best) return ` to be placed; ${findNode(best.nodeId)?.name} could take it now`
  return `: ${describeRejections(verdicts.length, rejectionsOf(verdicts))}`
}

/** The first verdict is of what would be chosen now; only what ties with it in everything is as good. */
function isBetter(best: Feasible, chosen: Feasible): boolean {
  const isTie =
    best.replicasInPlace === chosen.replicasInPlace &&
    Math.abs(best.score - chosen.score) < sameScore
  return best.nodeId !== chosen.nodeId && !isTie
}

/** "; zone-b and zone-c have a replica already": places that could take it and have more of the workload. */
function whereReplicasAre(
  feasible: readonly Feasible[],
  chosen: Feasible,
  topology: SpreadTopology,
  findNode: FindNode,
): string {
  if (topology === '') return ''
  const countByPlace = new Map<string, number>()
  for (const { nodeId, replicasInPlace } of feasible) {
    const place = placeOf(findNode(nodeId), topology)
    if (place !== '' && replicasInPlace > chosen.replicasInPlace) {
      countByPlace.set(place, replicasInPlace)
    }
  }
  if (countByPlace.size === 0) return ''
  const places = [...countByPlace.keys()].sort()
  const counts = new Set(countByPlace.values())
  const has = places.length === 1 ? 'has' : 'have'
  const [count] = counts
  const what = counts.size > 1 ? 'more replicas' : count === 1 ? 'a replica' : `${count} replicas`
  const each = counts.size === 1 && count! > 1 && places.length > 1 ? ' each' : ''
  return `; ${placeNames(places, topology)} ${has} ${what}${each} already`
}

function placeOf(node: NodeView | undefined, topology: Exclude<SpreadTopology, ''>): string {
  if (node === undefined) return ''
  return topology === 'node' ? node.name : node[topology]
}

/** Names alone where they say what they are, as "zone-b" does; otherwise "zones attic and kitchen". */
function placeNames(places: readonly string[], topology: Exclude<SpreadTopology, ''>): string {
  const shown = places.slice(0, places.length > placesMax ? placesMax - 1 : placesMax)
  const rest = places.length - shown.length
  const names = rest > 0 ? [...shown, `${rest} more`] : shown
  const list =
    names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  if (topology === 'node' || places.every((place) => place.startsWith(topology))) return list
  return `${topology}${places.length === 1 ? '' : 's'} ${list}`
}
