/** What a workload's record says when a rollout begins: to a new revision, or back to an earlier one. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  RolloutPhase,
  RolloutStatusSchema,
  RolloutStrategyKind,
  validateWorkloadSpec,
  type RolloutStatus,
  type WorkloadRecord,
  type WorkloadRevision,
  type WorkloadSpec,
  isService,
} from '@cloudless/api'
import { awaitsSwitch, rolloutOf } from './rollout-quota.ts'
import { takesClients } from './serving.ts'

/** Of a workload that is new: there is nothing that could be replaced. */
export function firstRollout(strategy: RolloutStrategyKind, nowMs: number): RolloutStatus {
  return begun({ revision: 1n, fromRevision: 0n, strategy, nowMs })
}

/** From what `before` runs to another revision. */
export function beginRollout(
  before: WorkloadRecord,
  target: { readonly revision: bigint; readonly strategy: RolloutStrategyKind },
  nowMs: number,
): RolloutStatus {
  const idle = new Set(idleRevisions(before))
  idle.delete(target.revision)
  const rollout = begun({ ...target, fromRevision: goodRevision(before), nowMs })
  rollout.idleRevisions = [...idle]
  return rollout
}

/**
 * The record with an earlier revision as its own: its replicas that still run are what is wanted, and stay. What a
 * revision does not count (how many, and how they are replaced and moved) stays as it is.
 */
export function goBack(
  record: WorkloadRecord,
  target: WorkloadRevision,
  facts: { readonly nowMs: number; readonly failedRevision: bigint; readonly message: string },
): WorkloadRecord {
  const workload = record.workload!
  const { revision } = target
  const spec = specOf(target.spec!, workload.spec!)
  const rollout: RolloutStatus = {
    ...beginRollout(record, { revision, strategy: strategyBack(record, revision) }, facts.nowMs),
    phase: revision < workload.revision ? RolloutPhase.ROLLING_BACK : RolloutPhase.PROGRESSING,
    fromRevision: workload.revision,
    failedRevision: facts.failedRevision,
    message: [facts.message, misfitOf(spec, revision)].filter((part) => part !== '').join('; '),
    promoted: true,
  }
  const updatedAtMs = BigInt(facts.nowMs)
  const after = { ...workload, revision, spec, updatedAtMs }
  return { ...record, workload: after, ...(isService(workload.spec) && { rollout }) }
}

/** What is kept of now may ask for what the earlier revision did not have: no reason to stay, and one to say so. */
function misfitOf(spec: WorkloadSpec, revision: bigint): string {
  const problem = validateWorkloadSpec(spec).find(({ path }) => path[0] === 'autoscaling')
  if (problem === undefined) return ''
  const { field, message } = problem
  return `autoscaling stays, and does not fit revision ${revision}: ${field} ${message}`
}

/** Who takes clients must not change by going back: what goes on is taken back the way it went. */
function strategyBack(record: WorkloadRecord, revision: bigint): RolloutStrategyKind {
  const last = rolloutOf(record)
  if (!isUnfinished(last)) return specStrategyOf(record.workload!.spec!)
  // Before the switch the earlier ones still have all clients: there is nothing to switch back.
  const nothingToSwitch = awaitsSwitch(record) && takesClients(last, revision)
  return nothingToSwitch ? RolloutStrategyKind.ROLLING_UPDATE : last.strategy
}

/** Towards an earlier revision: nothing is behind it that could be gone back to. */
export function isGoingBack({ revision, fromRevision }: RolloutStatus): boolean {
  return revision < fromRevision
}

export function isUnfinished(rollout: RolloutStatus | undefined): rollout is RolloutStatus {
  return rollout !== undefined && rollout.phase !== RolloutPhase.COMPLETED
}

export function specStrategyOf({ rollout }: WorkloadSpec): RolloutStrategyKind {
  return rollout?.strategy || RolloutStrategyKind.ROLLING_UPDATE
}

/** The newest revision there has been; what is next is one more. */
export function latestRevisionOf({ latestRevision, workload }: WorkloadRecord): bigint {
  // Earlier versions did not write it down: they never went back.
  return latestRevision > workload!.revision ? latestRevision : workload!.revision
}

function specOf(earlier: WorkloadSpec, now: WorkloadSpec): WorkloadSpec {
  const { rollout: _1, job: _2, cron: _3, autoscaling: _4, rebalance: _5, ...template } = earlier
  const { replicas, type, rollout, job, cron, autoscaling, rebalance } = now
  return {
    ...template,
    replicas,
    type,
    ...(rollout && { rollout }),
    ...(job && { job }),
    ...(cron && { cron }),
    ...(autoscaling && { autoscaling }),
    ...(rebalance && { rebalance }),
  }
}

/** What a rollout that begins now could go back to: the last that was completed, as far as there is one. */
function goodRevision(before: WorkloadRecord): bigint {
  const last = rolloutOf(before)
  if (!isUnfinished(last)) return before.workload!.revision
  if (isGoingBack(last) || last.fromRevision === 0n) return last.revision
  const isBlueGreen = last.strategy === RolloutStrategyKind.BLUE_GREEN
  return isBlueGreen && last.switched ? last.revision : last.fromRevision
}

function idleRevisions(before: WorkloadRecord): readonly bigint[] {
  const last = rolloutOf(before)
  if (!isUnfinished(last)) return []
  const neverSwitched = !takesClients(last, last.revision)
  return neverSwitched ? [...last.idleRevisions, last.revision] : last.idleRevisions
}

function begun(facts: {
  readonly revision: bigint
  readonly fromRevision: bigint
  readonly strategy: RolloutStrategyKind
  readonly nowMs: number
}): RolloutStatus {
  const { revision, fromRevision, strategy } = facts
  const nowMs = BigInt(facts.nowMs)
  return create(RolloutStatusSchema, {
    phase: RolloutPhase.PROGRESSING,
    revision,
    fromRevision,
    strategy,
    startedAtMs: nowMs,
    lastProgressAtMs: nowMs,
  })
}
