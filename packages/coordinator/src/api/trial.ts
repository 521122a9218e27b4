/**
 * Where replicas would go that do not exist, and why not elsewhere. All of a trial are decided together: they take each
 * other's room and are kept apart from each other. The table is left as it was.
 */
import { create } from '@bufbuild/protobuf'
import {
  PendingReasonSchema,
  ScheduleDecisionSchema,
  type NodeVerdict,
  type ScheduleDecision,
} from '@cloudless/api'
import { counted } from '@cloudless/base'
import {
  describeRejections,
  explain,
  schedule,
  type ClusterTable,
  type PendingReplica,
  type Placement,
  type Preemption,
  type Verdict,
} from '@cloudless/scheduler'
import { summaryOf, verdictMessages } from './explanation.ts'
import { RoomMaking, type RoomMakingOptions } from './room-making.ts'
import { VerdictBudget } from './verdict-budget.ts'

/** Of one trial: making room looks at every node's replicas. */
const plansMax = 100

export interface TrialOptions extends RoomMakingOptions {
  /** Every node's verdict with each decision. */
  readonly explain: boolean
}

/** In the order they were decided. Beyond what the budget allows, decisions come without terms and verdicts. */
export function tryOut(
  table: ClusterTable,
  pending: readonly PendingReplica[],
  options: TrialOptions,
): ScheduleDecision[] {
  const { weights, explain: withVerdicts } = options
  const pendingById = new Map(pending.map((replica) => [replica.id, replica]))
  const budget = new VerdictBudget(table.nodeCount)
  const placements = schedule(table, pending, { weights })
  const put: string[] = []
  const rooms = new RoomMaking(table, options)
  try {
    const decisions = placements.map((placement) => {
      const replica = pendingById.get(placement.replicaId)!
      if (!budget.takeReplica()) return decisionOf(table, placement)
      const verdicts = explain(table, replica, { weights })
      const decision = explainedDecision(table, placement, replica, verdicts)
      if (withVerdicts) decision.verdicts.push(...messages(table, placement, verdicts, budget))
      if (placement.kind === 'placed') {
        const { id, kind } = replica
        table.putReplica({ id, kind, nodeId: placement.nodeId, holding: 'holding' })
        put.push(id)
      }
      return decision
    })
    for (const decision of decisions.filter(({ nodeId }) => nodeId === '').slice(0, plansMax)) {
      const plan = rooms.roomFor(pendingById.get(decision.replicaId)!)
      if (plan !== undefined) decision.summary += howRoomIsMade(table, plan)
    }
    return decisions
  } finally {
    rooms.undo()
    for (const id of put) table.removeReplica(id)
  }
}

function howRoomIsMade(table: ClusterTable, { nodeId, victimIds }: Preemption): string {
  const name = table.node(nodeId)?.name
  if (victimIds.length === 0) return `; there will be room on ${name}, where replicas are leaving`
  const replicas = counted(victimIds.length, 'replica')
  return `; ${replicas} of lower priority would be stopped on ${name} to make room`
}

function messages(
  table: ClusterTable,
  placement: Placement,
  verdicts: readonly Verdict[],
  budget: VerdictBudget,
): NodeVerdict[] {
  const chosen = placement.kind === 'placed' ? placement.nodeId : ''
  return verdictMessages(budget.takeVerdicts(verdicts), chosen, (id) => table.node(id))
}

function explainedDecision(
  table: ClusterTable,
  placement: Placement,
  { kind }: PendingReplica,
  verdicts: readonly Verdict[],
): ScheduleDecision {
  const decision = decisionOf(table, placement)
  const { nodeId } = decision
  decision.summary = summaryOf(
    { ...kind, verdicts, nodeId, verb: 'would go to', waiting: 'would wait' },
    (id) => table.node(id),
  )
  const chosen = verdicts.find((verdict) => verdict.nodeId === nodeId)
  if (chosen?.kind !== 'feasible') return decision
  for (const { name, value } of chosen.terms) {
    const shown = name === 'affinity' ? 'preference' : name
    if (servedTerms.has(shown)) decision.scoreTerms[shown] = value / 100
  }
  return decision
}

/** Those a decision has named from the first; all of them are in the verdicts. */
const servedTerms = new Set([
  ...['locality', 'reliability', 'cost', 'utilization', 'network_penalty'],
  'preference',
])

function decisionOf(table: ClusterTable, placement: Placement): ScheduleDecision {
  const { replicaId } = placement
  if (placement.kind === 'unplaceable') {
    const { nodeCount, rejections } = placement
    return create(ScheduleDecisionSchema, {
      replicaId,
      pendingReasons: rejections.map((one) => create(PendingReasonSchema, one)),
      summary: `would wait: ${describeRejections(nodeCount, rejections)}`,
    })
  }
  const { nodeId, score } = placement
  const nodeName = table.node(nodeId)?.name ?? ''
  return create(ScheduleDecisionSchema, {
    replicaId,
    nodeId,
    nodeName,
    fragmentId: `frag-${replicaId}`,
    score,
    summary: `would go to ${nodeName} (score ${score.toFixed(2)})`,
  })
}
