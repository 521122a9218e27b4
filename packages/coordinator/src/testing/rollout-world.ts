/**
 * For tests: a world in which the decisions about one service are carried out. Agents start and stop replicas, nodes are
 * lost and come back, users change their minds: every step is one that can happen at any time.
 */
import assert from 'node:assert/strict'
import {
  ReplicaState,
  RolloutStrategyKind,
  type ReplicaRecord,
  type WorkloadRecord,
  type WorkloadRevision,
} from '@cloudless/api'
import { restartedRecord } from '../api/workload-changes.ts'
import { goBack } from '../controllers/begin-rollout.ts'
import { minAvailableOf } from '../controllers/min-available.ts'
import { planFromTally, planWorkload, type WorkloadPlan } from '../controllers/plan-workload.ts'
import { isLive, isLost } from '../controllers/replica-facts.ts'
import { stopping, withStatus } from '../controllers/replica-records.ts'
import { rolloutFacts, rolloutFactsFromTally } from '../controllers/rollout-facts.ts'
import { rolloutOf, strategyOf } from '../controllers/rollout-quota.ts'
import { isServing, servingCount } from '../controllers/serving.ts'
import { stepRollout, type RolloutStep } from '../controllers/step-rollout.ts'
import { tallyOf } from '../controllers/workload-tally.ts'
import { replicaRecord } from './records.ts'

export interface Acted {
  readonly step: RolloutStep
  readonly plan: WorkloadPlan
}

export class RolloutWorld {
  workload: WorkloadRecord
  readonly replicas = new Map<string, ReplicaRecord>()
  readonly revisions = new Map<bigint, WorkloadRevision>()
  nowMs = 1_000_000
  #made = 0
  #quiet = { seen: '', sinceMs: 0 }

  constructor(workload: WorkloadRecord) {
    this.workload = workload
    this.#remember('')
  }

  get all(): ReplicaRecord[] {
    return [...this.replicas.values()]
  }

  get live(): ReplicaRecord[] {
    return this.all.filter(isLive)
  }

  get readyCount(): number {
    return this.live.filter((r) => r.status!.ready).length
  }

  get servingCount(): number {
    return this.live.filter((r) => isServing(r, rolloutOf(this.workload))).length
  }

  /** One look of the controller; with what it must never do. */
  act(): Acted {
    const before = { serving: this.servingCount, all: this.all }
    const facts = rolloutFacts(this.workload, this.all, this.nowMs)
    const tally = tallyOf(this.all)
    assert.deepEqual(rolloutFactsFromTally(this.workload, tally) ?? facts, facts)
    const step = stepRollout(this.workload, {
      facts,
      nowMs: this.nowMs,
      quietMs: this.#quietMs(),
      replicas: () => this.all,
      revisionOf: (revision) => this.revisions.get(revision),
    })
    this.workload = step.record
    if (step.ended) this.#end(step.ended.revision, step.ended.outcome)
    const plan = planWorkload(this.workload, this.all, this.nowMs)
    assert.deepEqual(planFromTally(this.workload, tally) ?? plan, plan)
    this.#carryOut(plan)
    if (this.workload.deletedAtMs === 0n) this.#check(before, { step, plan })
    assert.equal(servingCount(tallyOf(this.all), rolloutOf(this.workload)), this.servingCount)
    return { step, plan }
  }

  /** Carries out a person's order, which takes nothing away from clients. */
  order(change: (record: WorkloadRecord) => WorkloadRecord): void {
    const before = this.servingCount
    this.workload = change(this.workload)
    assert.ok(this.servingCount >= Math.min(before, minAvailableOf(this.workload)))
  }

  restart(): void {
    const phase = rolloutOf(this.workload)?.phase
    const { revision } = this.workload.workload!
    const known = this.revisions.get(revision)!
    if (known.outcome === '') this.#end(revision, phase === undefined ? 'completed' : 'superseded')
    this.order((record) => restartedRecord(record, this.nowMs))
    this.#remember('')
  }

  undo(n: number): void {
    const { revision } = this.workload.workload!
    const others = [...this.revisions.values()].filter((one) => one.revision !== revision)
    const target = pick(n, others)
    if (!target) return
    if (this.revisions.get(revision)!.outcome === '') this.#end(revision, 'superseded')
    const facts = { nowMs: this.nowMs, failedRevision: 0n, message: '' }
    this.order((record) => goBack(record, target, facts))
  }

  scale(replicas: number): void {
    const workload = this.workload.workload!
    const spec = { ...workload.spec!, replicas }
    this.workload = { ...this.workload, workload: { ...workload, spec } }
  }

  place(n: number): void {
    const replica = pick(
      n,
      this.live.filter((r) => r.status!.nodeId === ''),
    )
    if (!replica) return
    const nodeId = `node-${n % 3}`
    this.set(withStatus(replica, { nodeId, state: ReplicaState.STARTING, pendingReasons: [] }))
  }

  /** Nothing takes the first that waits. */
  stick(): void {
    const replica = this.live.find((r) => r.status!.nodeId === '')
    const pendingReasons = [{ reason: 'not enough memory', nodeCount: 1 }]
    if (!replica) return
    const { status } = replicaRecord(replica.status!.id, { status: { pendingReasons } })
    this.set(withStatus(replica, { pendingReasons: status!.pendingReasons }))
  }

  becomeReady(n: number): void {
    const replica = pick(
      n,
      this.live.filter((r) => r.status!.nodeId !== '' && !r.status!.ready),
    )
    if (!replica) return
    const readyAtMs = BigInt(this.nowMs)
    this.set(withStatus(replica, { ready: true, state: ReplicaState.RUNNING, readyAtMs }))
  }

  becomeUnready(n: number): void {
    const replica = pick(
      n,
      this.live.filter((r) => r.status!.ready),
    )
    if (replica) this.set(withStatus(replica, { ready: false, readyAtMs: 0n }))
  }

  finishStop(n: number): void {
    const replica = pick(
      n,
      this.all.filter((r) => r.stopping),
    )
    if (replica) this.replicas.delete(replica.status!.id)
  }

  /** `replaceAtMs`: as in the records of what was on it. */
  loseNode(n: number, replaceAtMs = 0n): void {
    for (const replica of this.#on(n)) {
      if (replica.stopping) this.replicas.delete(replica.status!.id)
      else if (!isLost(replica)) {
        this.set({
          ...withStatus(replica, { state: ReplicaState.LOST, ready: false, readyAtMs: 0n }),
          replaceAtMs,
        })
      }
    }
  }

  /** What was lost with it and has not been replaced runs on; the rest is stopped. */
  returnNode(n: number): void {
    const replaced = new Set(this.all.map((r) => r.status!.replaces))
    for (const replica of this.#on(n).filter(isLost)) {
      const { id } = replica.status!
      if (replaced.has(id)) this.replicas.delete(id)
      else {
        const state = ReplicaState.RUNNING
        const ready = { state, ready: true, readyAtMs: BigInt(this.nowMs) }
        this.set({ ...withStatus(replica, ready), replaceAtMs: 0n })
      }
    }
  }

  drain(n: number): void {
    for (const replica of this.#on(n).filter(isLive)) {
      this.set({ ...replica, replaceWanted: true, replaceReason: 'drained' })
    }
  }

  uncordon(n: number): void {
    for (const replica of this.#on(n).filter((r) => isLive(r) && r.replaceWanted)) {
      this.set({ ...replica, replaceWanted: false, replaceReason: '' })
    }
  }

  /** Another takes what the workload can spare. */
  preempt(n: number): void {
    const serving = this.live.filter((r) => isServing(r, rolloutOf(this.workload)))
    if (serving.length <= minAvailableOf(this.workload)) return
    this.set(stopping(pick(n, serving)!, 'preempted', undefined))
  }

  set(record: ReplicaRecord): void {
    this.replicas.set(record.status!.id, record)
  }

  #on(n: number): ReplicaRecord[] {
    return this.all.filter((r) => r.status!.nodeId === `node-${n % 3}`)
  }

  #quietMs(): number {
    const { revision = 0n, readySeen = 0, lastProgressAtMs = 0n } = rolloutOf(this.workload) ?? {}
    const seen = `${revision} ${readySeen} ${lastProgressAtMs}`
    if (this.#quiet.seen !== seen) this.#quiet = { seen, sinceMs: this.nowMs }
    return this.nowMs - this.#quiet.sinceMs
  }

  #remember(outcome: string): void {
    const { revision, spec, labels } = this.workload.workload!
    const facts = { revision, spec: spec!, labels, outcome, cause: 'updated', current: false }
    this.revisions.set(revision, { ...facts, createdAtMs: 0n } as WorkloadRevision)
  }

  #end(revision: bigint, outcome: string): void {
    const known = this.revisions.get(revision)!
    if (known.outcome !== 'completed') this.revisions.set(revision, { ...known, outcome })
  }

  #carryOut(plan: WorkloadPlan): void {
    for (const { replaces, revision } of plan.create) {
      const id = `r${String(this.#made++).padStart(5, '0')}`
      const createdAtMs = BigInt(this.nowMs)
      this.set(replicaRecord(id, { status: { revision, replaces, createdAtMs } }))
    }
    for (const { replica, reason } of plan.stop) this.set(stopping(replica, reason, undefined))
    for (const replica of plan.forget) this.replicas.delete(replica.status!.id)
  }

  #check(
    before: { readonly serving: number; readonly all: readonly ReplicaRecord[] },
    { plan }: Acted,
  ): void {
    const strategy = strategyOf(this.workload)
    const { revision, spec } = this.workload.workload!
    const { replicas: wanted, rollout } = spec!
    const isRecreate = strategy === RolloutStrategyKind.RECREATE
    // RECREATE interrupts on purpose, but moves one at a time.
    if (!isRecreate || before.all.every((r) => r.status!.revision === revision)) {
      const least = isRecreate
        ? Math.min(rollout?.minAvailable ?? wanted - 1, wanted)
        : minAvailableOf(this.workload)
      const floor = Math.min(before.serving, least)
      assert.ok(
        this.servingCount >= floor,
        `${before.serving} serving became ${this.servingCount}, below ${floor}: ${say(plan)}`,
      )
    }
    // One more where one is to be replaced while a switch is prepared.
    const surge =
      strategy === RolloutStrategyKind.BLUE_GREEN ? wanted + 1 : Math.max(rollout?.maxSurge ?? 0, 1)
    if (plan.create.length > 0) {
      assert.ok(
        this.live.length <= Math.max(wanted + surge, before.all.filter(isLive).length),
        `${this.live.length} live, ${wanted} wanted, ${surge} surge: ${say(plan)}`,
      )
    }
    const successors = this.all.map((r) => r.status!.replaces).filter((id) => id !== '')
    assert.equal(new Set(successors).size, successors.length, 'one was replaced twice')
  }
}

/** "+2 replacing a, -b scaled, forget c"; a revision is named where it is not the workload's. */
export function say(plan: WorkloadPlan, current?: bigint): string {
  return [
    ...plan.create.map(
      ({ replaces, revision }) =>
        `+${replaces}${current === undefined || revision === current ? '' : `@${revision}`}`,
    ),
    ...plan.stop.map(({ replica, reason }) => `-${replica.status!.id} ${reason}`),
    ...plan.forget.map((replica) => `x${replica.status!.id}`),
    ...(plan.finished ? ['finished'] : []),
    ...(plan.wakeAtMs > 0 ? [`wake ${plan.wakeAtMs}`] : []),
  ].join(', ')
}

function pick<Item>(n: number, among: readonly Item[]): Item | undefined {
  return among[n % Math.max(1, among.length)]
}
