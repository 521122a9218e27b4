/**
 * How far a rollout is: moves its phase as its replicas get ready, and time passes. Pure.
 *
 *     PROGRESSING ──every replica is of the revision and ready──▶ COMPLETED
 *      │  ▲  │  └──no further one ready within the deadline──▶ FAILED ──auto_rollback──▶ ROLLING_BACK ──▶ COMPLETED
 *      │  │  └──canaries ready──▶ BAKING ──bake time over, or promoted──▶ PROGRESSING
 *      ▼  │
 *     PAUSED                       (paused, resumed, promoted and undone by a person: see rollout-orders.ts)
 *
 * Invariants
 *   1. Progress is a new maximum of available replicas: one that comes and goes makes it once.
 *   2. What goes back does not go back again: a failed way back stays FAILED, and what serves is left alone.
 *   3. Clients are switched (BLUE_GREEN) in one step, when as many new ones as wanted are available.
 */
import {
  RolloutPhase,
  type ReplicaRecord,
  type RolloutStatus,
  type WorkloadRecord,
  type WorkloadRevision,
} from '@cloudless/api'
import { beginRollout, goBack, isGoingBack, isUnfinished, specStrategyOf } from './begin-rollout.ts'
import { hangingReplica } from './hanging-replica.ts'
import type { RolloutFacts } from './rollout-facts.ts'
import { awaitsPromotion, awaitsSwitch, canariesOf, rolloutOf } from './rollout-quota.ts'

export type RolloutWord =
  | 'started'
  | 'baking'
  | 'promoted'
  | 'switched'
  | 'completed'
  | 'failed'
  | 'rolled_back'

export interface RolloutStep {
  readonly record: WorkloadRecord
  readonly words: readonly { readonly word: RolloutWord; readonly record: WorkloadRecord }[]
  /** How the rollout to a revision ended. */
  readonly ended?: { readonly revision: bigint; readonly outcome: 'completed' | 'failed' }
  /** Step again at this time, unix milliseconds; 0: only when something changes. */
  readonly wakeAtMs: number
}

export interface RolloutSight {
  readonly facts: RolloutFacts
  readonly nowMs: number
  /** How long nothing was heard of further progress: of a clock that does not jump, and begins when we do. */
  readonly quietMs: number
  readonly replicas: () => readonly ReplicaRecord[]
  readonly revisionOf: (revision: bigint) => WorkloadRevision | undefined
}

const progressDeadlineMsDefault = 600_000
/** Progress is written down when it is older than this part of the deadline: not for each of a thousand replicas. */
const progressParts = 20

export function stepRollout(before: WorkloadRecord, sight: RolloutSight): RolloutStep {
  const step = new Step(begunByEarlierVersion(before, sight), sight)
  if (step.record !== before) step.say('started')
  const rollout = rolloutOf(step.record)
  if (!isUnfinished(rollout) || before.deletedAtMs > 0n) return step.done(0)
  if (rollout.phase === RolloutPhase.PAUSED) return step.done(0)
  const isComplete = sight.facts.available >= step.record.workload!.spec!.replicas
  if (isComplete && rollout.phase !== RolloutPhase.FAILED) switchClients(step)
  if (completed(step) || rollout.phase === RolloutPhase.FAILED) return step.done(0)
  noteProgress(step)
  if (bake(step)) return step.done(bakeEndMs(step))
  const deadlineMs = deadlineMsOf(step.record)
  const isNews = step.rollout.lastProgressAtMs !== rollout.lastProgressAtMs
  const leftMs = deadlineMs - (isNews ? 0 : sight.quietMs)
  if (leftMs > 0) return step.done(sight.nowMs + Math.min(leftMs, untilNotedMs(step)))
  fail(step)
  return step.done(0)
}

/** One step in the making. */
class Step {
  readonly sight: RolloutSight
  readonly #words: RolloutStep['words'][number][] = []
  #ended: RolloutStep['ended']
  record: WorkloadRecord

  constructor(record: WorkloadRecord, sight: RolloutSight) {
    this.record = record
    this.sight = sight
  }

  get rollout(): RolloutStatus {
    return this.record.rollout!
  }

  change(change: Partial<Omit<RolloutStatus, '$typeName' | '$unknown'>>): void {
    this.record = { ...this.record, rollout: { ...this.rollout, ...change } }
  }

  say(word: RolloutWord): void {
    this.#words.push({ word, record: this.record })
  }

  end(outcome: 'completed' | 'failed'): void {
    this.#ended = { revision: this.rollout.revision, outcome }
  }

  done(wakeAtMs: number): RolloutStep {
    const { nextAtMs } = this.sight.facts
    return {
      record: this.record,
      words: this.#words,
      ...(this.#ended && { ended: this.#ended }),
      wakeAtMs: isUnfinished(rolloutOf(this.record)) ? earlierOf(wakeAtMs, nextAtMs) : 0,
    }
  }
}

/** Of two times, of which 0 is none. */
export function earlierOf(a: number, b: number): number {
  return a > 0 && b > 0 ? Math.min(a, b) : Math.max(a, b)
}

/** A change that an earlier version of the coordinator began and wrote nothing about. */
function begunByEarlierVersion(before: WorkloadRecord, sight: RolloutSight): WorkloadRecord {
  if (rolloutOf(before) !== undefined || sight.facts.outdated === 0) return before
  const { revision, spec } = before.workload!
  const rollout = beginRollout(before, { revision, strategy: specStrategyOf(spec!) }, sight.nowMs)
  return { ...before, rollout: { ...rollout, fromRevision: newestBefore(revision, sight) } }
}

function newestBefore(revision: bigint, { replicas }: RolloutSight): bigint {
  const earlier = replicas().map((r) => r.status!.revision)
  return earlier.filter((of) => of < revision).reduce((a, b) => (a > b ? a : b), 0n)
}

function switchClients(step: Step): void {
  if (!awaitsSwitch(step.record)) return
  step.change({ switched: true })
  step.say('switched')
}

function completed(step: Step): boolean {
  const { available, ended, awaited, outdated } = step.sight.facts
  const { replicas: wanted } = step.record.workload!.spec!
  const done = available + ended
  if (outdated > 0 || done + awaited < wanted || (done === 0 && wanted > 0)) return false
  switchClients(step)
  const { failedRevision, message } = step.rollout
  step.change({
    phase: RolloutPhase.COMPLETED,
    finishedAtMs: BigInt(step.sight.nowMs),
    readySeen: Math.max(step.rollout.readySeen, done),
    idleRevisions: [],
    message: failedRevision > 0n ? message : '',
  })
  step.say('completed')
  step.end('completed')
  return true
}

function noteProgress(step: Step): void {
  const done = doneOf(step)
  const { readySeen } = step.rollout
  if (done <= readySeen) return
  const isLate = step.sight.quietMs >= deadlineMsOf(step.record) / progressParts
  const isLast = done >= step.record.workload!.spec!.replicas
  if (readySeen > 0 && !isLate && !isLast) return
  step.change({ readySeen: done, lastProgressAtMs: BigInt(step.sight.nowMs) })
}

function doneOf({ sight: { facts } }: Step): number {
  return facts.available + facts.ended
}

/** When progress that is not written down yet will be. */
function untilNotedMs(step: Step): number {
  const { sight, rollout, record } = step
  if (doneOf(step) <= rollout.readySeen) return Infinity
  return Math.max(1, deadlineMsOf(record) / progressParts - sight.quietMs)
}

/** Whether the canaries are there and the rest waits. */
function bake(step: Step): boolean {
  const canaries = canariesOf(step.record)
  const isAll = canaries >= step.record.workload!.spec!.replicas
  if (!awaitsPromotion(step.record) || isAll) return false
  const { facts, nowMs } = step.sight
  const { rollout } = step
  const isBaking = rollout.phase === RolloutPhase.BAKING
  if (facts.available < canaries) {
    if (isBaking) interruptBaking(step)
    return false
  }
  if (!isBaking) {
    step.change({ phase: RolloutPhase.BAKING, canaryReadyAtMs: BigInt(nowMs) })
    step.say('baking')
  }
  const endMs = bakeEndMs(step)
  if (endMs === 0 || endMs > nowMs) return true
  step.change({
    phase: RolloutPhase.PROGRESSING,
    promoted: true,
    lastProgressAtMs: BigInt(nowMs),
  })
  step.say('promoted')
  return false
}

/** A canary is no longer ready. Having been so for a good while counts; coming and going does not. */
function interruptBaking(step: Step): void {
  const { nowMs } = step.sight
  const bakedMs = nowMs - Number(step.rollout.canaryReadyAtMs)
  const isLong = bakedMs >= deadlineMsOf(step.record) / 2
  step.change({
    phase: RolloutPhase.PROGRESSING,
    canaryReadyAtMs: 0n,
    ...(isLong && { lastProgressAtMs: BigInt(nowMs) }),
  })
}

/** 0: it bakes until a person promotes it. */
function bakeEndMs({ record, rollout }: Step): number {
  const bakeMs = record.workload!.spec!.rollout?.canary?.bakeMs ?? 0n
  return bakeMs === 0n ? 0 : Number(rollout.canaryReadyAtMs + bakeMs)
}

/** What a step of the rollout may take when all is well is not held against it. */
function deadlineMsOf({ workload }: WorkloadRecord): number {
  const { progressDeadlineMs, pauseDurationMs, minReadyMs } = workload!.spec!.rollout ?? {}
  const ownMs = Number(pauseDurationMs ?? 0n) + Number(minReadyMs ?? 0n)
  return (Number(progressDeadlineMs ?? 0n) || progressDeadlineMsDefault) + ownMs
}

function fail(step: Step): void {
  const { sight, rollout } = step
  const { spec, revision } = step.record.workload!
  const replicas = sight.replicas()
  const message = hangingReplica(step.record, replicas, sight.nowMs)
  step.change({
    phase: RolloutPhase.FAILED,
    message,
    finishedAtMs: BigInt(sight.nowMs),
    heldUpdated: Math.min(spec!.replicas, sight.facts.updated + sight.facts.awaited),
    heldReplicas: spec!.replicas,
  })
  step.say('failed')
  step.end('failed')
  const target = isGoingBack(rollout) ? undefined : sight.revisionOf(rollout.fromRevision)
  if (target?.outcome !== 'completed' || spec!.rollout?.autoRollback === false) return
  step.record = goBack(step.record, target, {
    nowMs: sight.nowMs,
    failedRevision: revision,
    message: `revision ${revision} failed: ${message}`,
  })
  step.say('rolled_back')
}
