/**
 * Replaces the replicas that do not belong by those that do, step by step: every strategy but RECREATE's first act is this,
 * with other quotas, room and floors. Pure.
 *
 * What serves nobody is stopped at once. What serves is stopped only while enough others serve: those of an earlier
 * revision as new ones get ready, and those to be replaced when their successor is ready.
 */
import { RolloutStrategyKind, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import { minAvailableOf } from './min-available.ts'
import { countsAtMs, isLive, isLost } from './replica-facts.ts'
import { slotsOf, type Slots } from './replica-slots.ts'
import { awaitsPromotion, awaitsSwitch, rolloutOf, strategyOf } from './rollout-quota.ts'
import { isServing } from './serving.ts'
import { nothing, retire, type NewReplica, type WorkloadPlan } from './workload-plan.ts'

/** How fast, and how far down. */
interface Pace {
  /** Live replicas may become so many. */
  readonly liveMax: number
  /** Serving ones that stay when old ones are stopped. */
  readonly floor: number
  /** And when marked ones are, whose successors are not ready. */
  readonly floorOfMarks: number
  /** And in any case. */
  readonly floorAlways: number
  /** No next step of a rollout before; unix milliseconds. */
  readonly resumeAtMs: number
}

export function planSlots(
  workload: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  nowMs: number,
): WorkloadPlan {
  const slots = slotsOf(workload, replicas, nowMs)
  const pace = paceOf(workload, slots, replicas)
  const pausing = pace.resumeAtMs > nowMs
  const serving = stopServing(workload, slots, pace, nowMs)
  const rollout = rolloutOf(workload)
  const useless = (some: readonly ReplicaRecord[]): ReplicaRecord[] =>
    some.filter((r) => !isServing(r, rollout))
  const outdated = [...useless(slots.surplusOld), ...slots.idle, ...useless(slots.marked)]
  const scaled = [...useless(slots.surplusFresh), ...serving.scaled]
  const plans = [retire([...outdated, ...serving.outdated], 'updated'), retire(scaled, 'scaled')]
  return {
    ...nothing,
    create: successors(workload, slots, missing(slots, pace, pausing)),
    stop: plans.flatMap((plan) => plan.stop),
    forget: plans.flatMap((plan) => plan.forget),
    wakeAtMs: earliest([
      ...(pausing ? [pace.resumeAtMs] : []),
      ...(serving.nextAtMs > 0 ? [serving.nextAtMs] : []),
      ...dueTimes(slots, replicas, nowMs),
    ]),
  }
}

function paceOf(workload: WorkloadRecord, slots: Slots, replicas: readonly ReplicaRecord[]): Pace {
  const { wanted, stuck, awaited } = slots
  const { rollout } = workload.workload!.spec!
  const floorAlways = minAvailableOf(workload)
  if (strategyOf(workload) === RolloutStrategyKind.RECREATE) {
    // Two must not run at once: what leaves still holds its place, and the only one there is may go first.
    const leaving = replicas.filter((r) => r.stopping && !isLost(r) && !isSettled(r, workload))
    const floor = Math.min(rollout?.minAvailable ?? wanted - 1, wanted)
    const liveMax = wanted - leaving.length
    return { liveMax, floor, floorOfMarks: floor, floorAlways: floor, resumeAtMs: 0 }
  }
  const maxUnavailable = rollout?.maxUnavailable ?? 0
  const surge = surgeOf(workload, slots, floorAlways)
  const floor = stuck ? floorAlways : Math.max(floorAlways, wanted - awaited - maxUnavailable)
  const makesFirst = surge > 0 && !stuck
  return {
    liveMax: wanted + surge,
    floor,
    floorOfMarks: makesFirst ? Math.max(floorAlways, wanted - awaited) : floorAlways,
    floorAlways,
    resumeAtMs:
      slots.surplusOld.length > 0
        ? pausedUntilMs(slots.fresh, Number(rollout?.pauseDurationMs ?? 0n))
        : 0,
  }
}

/** How many more than wanted may be live. */
function surgeOf(workload: WorkloadRecord, slots: Slots, floorAlways: number): number {
  const { wanted, marked, idle, surplusOld } = slots
  if (awaitsSwitch(workload)) {
    // All once more, and one where one is to be replaced; what is given up at once is no longer counted.
    const rollout = rolloutOf(workload)
    const givenUp = [...idle, ...surplusOld].filter((r) => !isServing(r, rollout)).length
    return wanted + (marked.length > 0 ? 1 : 0) + givenUp
  }
  const { maxSurge = 0, maxUnavailable = 0 } = workload.workload!.spec!.rollout ?? {}
  // Without one more nothing could ever go where all must stay; and a canary is made before what it stands in for goes.
  const needsOne = maxUnavailable === 0 || floorAlways >= wanted || awaitsPromotion(workload)
  return needsOne ? Math.max(1, maxSurge) : maxSurge
}

/** Neither of an earlier revision nor marked. */
function isSettled(replica: ReplicaRecord, { workload }: WorkloadRecord): boolean {
  return replica.status!.revision === workload!.revision && !replica.replaceWanted
}

/** The next step of a rollout waits this long after the newest replica became ready. */
function pausedUntilMs(fresh: readonly ReplicaRecord[], pauseMs: number): number {
  if (pauseMs <= 0) return 0
  const newestReadyMs = Math.max(0, ...fresh.map((r) => Number(r.status!.readyAtMs)))
  return newestReadyMs === 0 ? 0 : newestReadyMs + pauseMs
}

interface ServingStops {
  readonly outdated: readonly ReplicaRecord[]
  readonly scaled: readonly ReplicaRecord[]
  /** When one more will have been ready for long enough to count; 0: none will. */
  readonly nextAtMs: number
}

/** Which of those that serve can go now. */
function stopServing(
  workload: WorkloadRecord,
  slots: Slots,
  pace: Pace,
  nowMs: number,
): ServingStops {
  const rollout = rolloutOf(workload)
  const minReadyMs = Number(workload.workload!.spec!.rollout?.minReadyMs ?? 0n)
  const counts = (r: ReplicaRecord): boolean => countsAtMs(r, minReadyMs) <= nowMs
  const candidates = [...slots.marked, ...slots.surplusOld, ...slots.surplusFresh]
  const serving = slots.live.filter((r) => isServing(r, rollout))
  let ready = serving.length
  let counted = serving.filter(counts).length
  const take = (
    some: readonly ReplicaRecord[],
    floorOf: (replica: ReplicaRecord) => number,
  ): ReplicaRecord[] =>
    some
      .filter((r) => isServing(r, rollout))
      .toReversed()
      .filter((replica) => {
        const floor = floorOf(replica)
        const isCounted = counts(replica)
        if (ready <= floor || (isCounted && counted <= floor)) return false
        ready--
        if (isCounted) counted--
        return true
      })

  const succeeded = new Set(serving.filter(counts).map((r) => r.status!.replaces))
  const marked = take(slots.marked, (r) =>
    succeeded.has(r.status!.id) ? pace.floorAlways : pace.floorOfMarks,
  )
  const old = pace.resumeAtMs > nowMs ? [] : take(slots.surplusOld, () => pace.floor)
  const scaled = take(slots.surplusFresh, () => pace.floor)
  const waiting = candidates.length === 0 ? [] : serving.filter((r) => !counts(r))
  const nextAtMs = earliest(waiting.map((r) => countsAtMs(r, minReadyMs)))
  return { outdated: [...marked, ...old], scaled, nextAtMs }
}

/** How many can be made now, of the new revision and of earlier ones. */
function missing(
  slots: Slots,
  { liveMax }: Pace,
  pausing: boolean,
): { readonly fresh: number; readonly old: number } {
  // During the pause between two steps only what is lost or to be replaced is made up for.
  const max = pausing ? Math.min(liveMax, slots.wanted + slots.marked.length) : liveMax
  const room = Math.max(0, max - slots.live.length)
  const old = Math.min(slots.missingOld, room)
  return { fresh: Math.min(slots.missingFresh, room - old), old }
}

/** New replicas, each standing in for an orphan of its kind, or of the other, as long as there are such. */
function successors(
  workload: WorkloadRecord,
  { orphans, old }: Slots,
  count: { readonly fresh: number; readonly old: number },
): NewReplica[] {
  const { revision } = workload.workload!
  const from = rolloutOf(workload)?.fromRevision || old[0]?.status!.revision || revision
  const left = [...orphans]
  const takeOrphan = (isOf: (orphan: ReplicaRecord) => boolean): ReplicaRecord | undefined => {
    const at = left.findIndex(isOf)
    return at === -1 ? undefined : left.splice(at, 1)[0]
  }
  const isOld = ({ status }: ReplicaRecord): boolean => status!.revision !== revision
  const made: NewReplica[] = []
  for (let n = 0; n < count.old; n++) {
    const orphan = takeOrphan(isOld)
    const { id = '', revision: of = from } = orphan?.status ?? {}
    made.push({ replaces: id, revision: of })
  }
  for (let n = 0; n < count.fresh; n++) {
    const orphan = takeOrphan((r) => !isOld(r)) ?? takeOrphan(() => true)
    made.push({ replaces: orphan?.status!.id ?? '', revision })
  }
  return made
}

/** When those that are awaited are awaited no longer. */
function dueTimes(slots: Slots, replicas: readonly ReplicaRecord[], nowMs: number): number[] {
  if (slots.awaited === 0) return []
  return replicas
    .filter((r) => !isLive(r) && isLost(r))
    .map((r) => Number(r.replaceAtMs))
    .filter((atMs) => atMs > nowMs)
}

function earliest(times: readonly number[]): number {
  return times.length === 0 ? 0 : times.reduce((a, b) => Math.min(a, b))
}
