/**
 * Which of two stays when a node that was given up as lost comes back with a replica still running, although another
 * may have been made in its stead. Pure.
 *
 * Vocabulary: the *original* is the replica that is found again; its *rival* is the one that took its place: its
 * replacement, the replacement of that one if it was lost too, and so on.
 *
 * Invariants
 *   1. The workload is left with as many as it wants, as far as it had them: for one that is taken back beyond the
 *      number, one other is given up.
 *   2. Nothing that serves is given up for something that does not.
 *   3. What is fenced is on its way out for good: nothing here takes it back.
 */
import {
  onReturnOf,
  ReplicaState,
  RolloutStrategyKind,
  WorkloadType,
  type ReplicaObservation,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { isPlaced, isReady } from './replica-facts.ts'

/** A workload with its replicas, as they are while a node's return is settled. */
export interface Household {
  /** Undefined: it is gone. */
  readonly workload: WorkloadRecord | undefined
  /** Neither being stopped nor lost; by id, kept up to date, because a node may bring back many of one workload. */
  readonly live: ReadonlyMap<string, ReplicaRecord>
  /** Of these, those that are as the workload wants them now. */
  readonly peers: ReadonlyMap<string, ReplicaRecord>
  /** Those that stand in for the replica of this id. */
  replacing(replicaId: string): readonly ReplicaRecord[]
  zoneOf(nodeId: string): string
}

export interface Returned {
  readonly original: ReplicaRecord
  readonly observation: ReplicaObservation
  /** Its node is being emptied: whatever is taken back there has to go. */
  readonly mustLeave: boolean
}

export type ReturnVerdict =
  /** It is taken back; the rival, if there is one, is not needed any more. */
  | { readonly kind: 'keep'; readonly rival: ReplicaRecord | undefined }
  /** It is taken back for as long as it takes until others are ready. `rival`: the one that is to stay in its stead. */
  | { readonly kind: 'lend'; readonly rival: ReplicaRecord | undefined }
  /** It is stopped, and can never come back. */
  | { readonly kind: 'fence'; readonly rival: ReplicaRecord | undefined }

const fence: ReturnVerdict = { kind: 'fence', rival: undefined }
const keep: ReturnVerdict = { kind: 'keep', rival: undefined }
const lend: ReturnVerdict = { kind: 'lend', rival: undefined }

export function decideReturn(household: Household, returned: Returned): ReturnVerdict {
  const { workload } = household
  if (workload === undefined || workload.deletedAtMs > 0n) return fence
  // Its agent was told so by an earlier session: what it stops for good cannot be kept.
  if (returned.observation.state === ReplicaState.STOPPING) return fence
  switch (workload.workload!.spec!.type) {
    case WorkloadType.DAEMON:
      return decideDaemon(household, returned)
    case WorkloadType.JOB:
      return decideAttempt(household, returned)
    default:
      return decideOfMany(household, returned)
  }
}

/** Of a workload that wants a number of equal ones. */
function decideOfMany(household: Household, returned: Returned): ReturnVerdict {
  const { original } = returned
  const { peers } = household
  const { workload } = household.workload!
  const wanted = workload!.spec!.replicas
  const { revision } = workload!
  if (!isPeer(original, revision) || returned.mustLeave) {
    return decideLeaving(household, returned, wanted)
  }
  if (peers.size < wanted) return keep
  const rival = heirOf(household, original, peers) ?? newestSince(original, peers)
  if (rival === undefined) return fence
  if (rival.status!.nodeId === '') return { kind: 'keep', rival }
  return decideBetween(household, returned, rival)
}

/** It is its node's own: only another on the same node could be in its stead. */
function decideDaemon({ live }: Household, { original, mustLeave }: Returned): ReturnVerdict {
  const { nodeId } = original.status!
  const rival = [...live.values()].find(({ status }) =>
    [status!.nodeId, status!.boundNodeId].includes(nodeId),
  )
  if (mustLeave || (rival && isPlaced(rival))) return fence
  return { kind: 'keep', rival }
}

/** An attempt of a job: what has run longer is nearer to its end, and what has ended need not be done again. */
function decideAttempt(household: Household, returned: Returned): ReturnVerdict {
  const { original, observation, mustLeave } = returned
  const rival = heirOf(household, original, household.live)
  const isDone = observation.state === ReplicaState.STOPPED
  if (rival === undefined || !isPlaced(rival) || isDone) return { kind: 'keep', rival }
  const goesOn = isRunning(observation) && !mustLeave
  const isKept = goesOn && prefersOriginal(household, returned, rival)
  return { kind: isKept ? 'keep' : 'fence', rival }
}

/** It has to go in any case: only as long as there are too few without it. */
function decideLeaving(
  { live }: Household,
  { observation }: Returned,
  wanted: number,
): ReturnVerdict {
  const enough = isRunning(observation) ? isReady : isPlaced
  return live.size < wanted || [...live.values()].filter(enough).length < wanted ? lend : fence
}

function decideBetween(
  household: Household,
  { original, observation }: Returned,
  rival: ReplicaRecord,
): ReturnVerdict {
  // Its node has booted since: what was running is not any more.
  if (!isRunning(observation)) return { kind: 'fence', rival }
  const { spec } = household.workload!.workload!
  const isPreferred = prefersOriginal(household, { original, observation }, rival)
  if (isPreferred && (observation.ready || !isReady(rival))) return { kind: 'keep', rival }
  // RECREATE has no two side by side: the one that is not to stay is stopped at once.
  const mayWait = spec!.rollout?.strategy !== RolloutStrategyKind.RECREATE
  const isNeeded = observation.ready && !isReady(rival)
  return { kind: isNeeded && mayWait ? 'lend' : 'fence', rival }
}

function prefersOriginal(
  household: Household,
  { original, observation }: Pick<Returned, 'original' | 'observation'>,
  rival: ReplicaRecord,
): boolean {
  switch (onReturnOf(household.workload!.workload!.spec)) {
    case 'original':
      return true
    case 'replacement':
      return false
    case 'longest_running': {
      const sinceMs = rival.status!.startedAtMs
      return sinceMs === 0n || observation.startedAtMs <= sinceMs
    }
    case 'best_placed':
      return isBetterPlaced(household, original, rival)
  }
}

/** Fewer of the workload in its zone, else on its node; else what the scheduler thought better when it placed them. */
function isBetterPlaced(
  { live, zoneOf }: Household,
  original: ReplicaRecord,
  rival: ReplicaRecord,
): boolean {
  const crowd = (of: ReplicaRecord): readonly [zone: number, node: number] => {
    const { nodeId } = of.status!
    const nodeIds = neighbours.map((r) => r.status!.nodeId)
    const inZone = nodeIds.filter((id) => zoneOf(id) === zoneOf(nodeId)).length
    return [inZone, nodeIds.filter((id) => id === nodeId).length]
  }
  const neighbours = [...live.values()].filter((r) => isPlaced(r) && !isSame(r, rival))
  const [here, there] = [crowd(original), crowd(rival)]
  const byScore = original.status!.score - rival.status!.score
  return (there[0] - here[0] || there[1] - here[1] || byScore) >= 0
}

/** Who took its place in the end: the first in the line of replacements that is there to stay. */
function heirOf(
  { replacing }: Household,
  original: ReplicaRecord,
  staying: ReadonlyMap<string, ReplicaRecord>,
): ReplicaRecord | undefined {
  const seen = new Set<string>()
  let line = replacing(original.status!.id)
  while (line.length > 0) {
    const heir = line.find((r) => staying.has(r.status!.id))
    if (heir) return heir
    const fresh = line.filter((r) => !seen.has(r.status!.id))
    for (const { status } of fresh) seen.add(status!.id)
    line = fresh.flatMap((r) => replacing(r.status!.id))
  }
  return undefined
}

/** Where a link of the line is forgotten: whoever was made last, if that was since. */
function newestSince(
  { lostAtMs }: ReplicaRecord,
  peers: ReadonlyMap<string, ReplicaRecord>,
): ReplicaRecord | undefined {
  return [...peers.values()]
    .filter((r) => r.status!.createdAtMs >= lostAtMs)
    .sort((a, b) => Number(a.status!.createdAtMs - b.status!.createdAtMs))
    .at(-1)
}

/** Of the revision that is wanted, and to stay. */
export function isPeer(replica: ReplicaRecord, revision: bigint): boolean {
  return replica.status!.revision === revision && !replica.replaceWanted
}

function isSame(one: ReplicaRecord, other: ReplicaRecord): boolean {
  return one.status!.id === other.status!.id
}

function isRunning(observation: ReplicaObservation): boolean {
  return observation.state === ReplicaState.RUNNING
}
