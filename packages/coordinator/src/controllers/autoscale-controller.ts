/**
 * Makes the number of replicas of autoscaled services follow what they use: every ten to fifteen seconds a workload is
 * looked at, and its spec's replicas are changed when that is due. A change of the number is no new revision.
 *
 * Level-triggered: a look compares what is known now with what is wanted now, and may be late, repeated or lost. What it
 * remembers is in `ScaleHistory`, which says what becomes of it when this process ends.
 */
import { create } from '@bufbuild/protobuf'
import {
  AutoscalingStatusSchema,
  WorkloadType,
  type Autoscaling,
  type AutoscalingStatus,
  type WorkloadRecord,
} from '@cloudless/api'
import { between, type Clock, type Random } from '@cloudless/base'
import type { ReplicaUsages } from '../membership/replica-usages.ts'
import {
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
  type RecordChange,
} from '../state/cluster-state.ts'
import { planScale, type ScalePlan } from './plan-scale.ts'
import { recommendReplicas, type ReadyReplica, type Recommendation } from './recommend-replicas.ts'
import type { Reporter } from './reporter.ts'
import { rolloutOf } from './rollout-quota.ts'
import { beginHistory, lullOf, sameLull, type ScaleHistory } from './scale-history.ts'
import { isServing } from './serving.ts'
import { WorkQueue } from './work-queue.ts'

export interface AutoscaleControllerDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly usages: Pick<ReplicaUsages, 'of'>
  readonly report: Reporter
}

/** One workload's part of what is remembered. */
interface Known {
  readonly history: ScaleHistory
  readonly status: AutoscalingStatus
}

interface Look {
  readonly workload: WorkloadRecord
  readonly from: number
  readonly known: Known
  readonly plan: ScalePlan
}

/** Between two looks at a workload: somewhere within, so that looks are spread and not all at once. */
export const lookPeriodMs = { min: 10_000, max: 15_000 } as const

export class AutoscaleController {
  readonly #deps: AutoscaleControllerDeps
  readonly #queue: WorkQueue
  readonly #known = new Map<string, Known>()
  readonly #stopListening: () => void

  constructor(deps: AutoscaleControllerDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({
      clock: deps.clock,
      random: deps.random,
      work: (workloadId) => this.#look(workloadId),
      onError: (workloadId, reason) => deps.report.error(`autoscaling ${workloadId}`, reason),
    })
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
    for (const { id, record } of deps.state.all('workload')) {
      if (autoscalingOf(record)) this.#queue.addAfter(id, this.#periodMs(0))
    }
  }

  /** As of the last look; undefined before the first of this process. */
  statusOf(workloadId: string): AutoscalingStatus | undefined {
    return this.#known.get(workloadId)?.status
  }

  close(): Promise<void> {
    this.#stopListening()
    return this.#queue.close()
  }

  /** Workloads that are autoscaled from now on, or in another way. */
  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind !== 'workload') continue
      const { before, after } = change as RecordChange<'workload'>
      if (before && autoscalingOf(before) === (after && autoscalingOf(after))) continue
      if (autoscalingOf(before) || autoscalingOf(after)) this.#queue.add(change.id)
    }
  }

  async #look(workloadId: string): Promise<number | undefined> {
    const { state, report } = this.#deps
    let look: Look | undefined
    await state.update(() => {
      const held = state.held('workload', workloadId)
      const autoscaling = autoscalingOf(held?.record)
      look = held && autoscaling && this.#decide(held, autoscaling)
      return held && look && this.#changes(held, look)
    })
    if (look === undefined) {
      this.#known.delete(workloadId)
      return undefined
    }
    const { workload, from, known, plan } = look
    this.#known.set(workloadId, known)
    if (plan.replicas !== from) {
      report.workloadAutoscaled(workload, { from, to: plan.replicas, why: known.status.message })
    }
    return plan.againAfterMs || this.#periodMs(lookPeriodMs.min)
  }

  #decide({ id, record }: Held<WorkloadRecord>, autoscaling: Autoscaling): Look {
    const { clock } = this.#deps
    const spec = record.workload!.spec!
    const from = spec.replicas
    const recommendation = recommendReplicas(autoscaling, from, this.#servingReplicas(id, record))
    const before = this.#known.get(id)?.history ?? beginHistory(record.recommendations, from, clock)
    const asked = recommendation.replicas
    const plan = planScale(spec, { asked, current: from }, before, clock.monotonicMs())
    const isChanged = plan.replicas !== from
    const status = statusOf(recommendation, plan, {
      recommended: asked ?? from,
      lastScaledAtMs: isChanged
        ? BigInt(clock.wallMs())
        : (record.autoscaling?.lastScaledAtMs ?? 0n),
    })
    return { workload: record, from, plan, known: { history: plan.history, status } }
  }

  /** Undefined when nothing of it is worth a write: figures are served from memory. */
  #changes(
    held: Held<WorkloadRecord>,
    { from, known, plan }: Look,
  ): Decision<undefined> | undefined {
    const { clock } = this.#deps
    const { record, id } = held
    const isScaled = plan.replicas !== from
    const lull = isScaled ? [] : lullOf(known.history, from, clock)
    if (!isScaled && sameLull(lull, record.recommendations)) return undefined
    const workload = record.workload!
    const after: WorkloadRecord = {
      ...record,
      recommendations: [...lull],
      autoscaling: known.status,
      workload: isScaled
        ? {
            ...workload,
            updatedAtMs: BigInt(clock.wallMs()),
            spec: { ...workload.spec!, replicas: plan.replicas },
          }
        : workload,
    }
    return {
      preconditions: [unchanged('workload', held)],
      writes: [putRecord('workload', id, after)],
      result: undefined,
    }
  }

  /** Those that clients are sent to: what is idle until a switch, or since, says nothing about the load. */
  #servingReplicas(workloadId: string, workload: WorkloadRecord): ReadyReplica[] {
    const { state, usages } = this.#deps
    const rollout = rolloutOf(workload)
    return state
      .replicasOfWorkload(workloadId)
      .filter(({ record }) => isServing(record, rollout))
      .map(({ id, record }) => ({ spec: record.spec!, usage: usages.of(id) }))
  }

  #periodMs(min: number): number {
    return between(this.#deps.random, min, lookPeriodMs.max)
  }
}

/** Undefined when the number of replicas is not ours to choose. */
function autoscalingOf(record: WorkloadRecord | undefined): Autoscaling | undefined {
  if (!record || record.deletedAtMs > 0n) return undefined
  const { autoscaling, type } = record.workload!.spec!
  if (type !== WorkloadType.UNSPECIFIED && type !== WorkloadType.SERVICE) return undefined
  return autoscaling && autoscaling.maxReplicas >= autoscaling.minReplicas ? autoscaling : undefined
}

function statusOf(
  { readings, message }: Recommendation,
  { reason }: ScalePlan,
  rest: { readonly recommended: number; readonly lastScaledAtMs: bigint },
): AutoscalingStatus {
  return create(AutoscalingStatusSchema, {
    ...rest,
    readings: readings.map((reading) => ({ ...reading })),
    message: reason === '' ? message : `${message}; ${reason}`,
  })
}
