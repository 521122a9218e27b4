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
  planPreemptions,
  schedule,
  toleranceOf,
  type ClusterTable,
  type PendingReplica,
  type Placement,
  type Preemption,
  type PreemptionOptions,
  type Verdict,
} from '@cloudless/scheduler'
import { summaryOf, verdictMessages } from './explanation.ts'
import { VerdictBudget } from './verdict-budget.ts'

/** Of one trial: making room looks at every node's replicas. */
const plansMax = 100

export interface TrialOptions extends Required<Pick<PreemptionOptions, 'weights' | 'spareOf'>> {
  /** Only what has a priority above this may have others stopped. */
  readonly priorityAbove: number
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

  function decide(placement: Placement): ScheduleDecision {
    if (!budget.takeReplica()) return decisionOf(table, placement)
    const replica = pendingById.get(placement.replicaId)!
    const verdicts = explain(table, replica, { weights })
    const decision = explainedDecision(table, placement, replica, verdicts)
    if (withVerdicts) decision.verdicts.push(...messages(table, placement, verdicts, budget))
    return decision
  }

  function take(placement: Placement): void {
    if (placement.kind !== 'placed') return
    const { id, kind } = pendingById.get(placement.replicaId)!
    table.putReplica({ id, kind, nodeId: placement.nodeId, holding: 'holding' })
    put.push(id)
  }

  try {
    const decisions = placements.map((placement) => {
      const decision = decide(placement)
      take(placement)
      return decision
    })
    sayHowRoomIsMade(table, decisions, pendingById, options)
    return decisions
  } finally {
    for (const id of put) table.removeReplica(id)
  }
}

/** For those that fit nowhere, with all that do in their places. */
function sayHowRoomIsMade(
  table: ClusterTable,
  decisions: readonly ScheduleDecision[],
  pendingById: ReadonlyMap<string, PendingReplica>,
  options: TrialOptions,
): void {
  const waiting = new Map<string, ScheduleDecision>()
  for (const decision of decisions) {
    if (decision.nodeId === '') waiting.set(decision.replicaId, decision)
  }
  const pending = [...waiting.keys()]
    .map((id) => pendingById.get(id)!)
    .filter(({ kind }) => kind.priority > options.priorityAbove)
    .slice(0, plansMax)
  for (const { pending: replica, preemption } of planPreemptions(table, pending, options)) {
    if (preemption === undefined) continue
    waiting.get(replica.id)!.summary += howRoomIsMade(table, preemption)
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
    {
      ...kind,
      verdicts,
      nodeId,
      verb: 'would go to',
      waiting: 'would wait',
      tolerance: toleranceOf(kind),
    },
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
