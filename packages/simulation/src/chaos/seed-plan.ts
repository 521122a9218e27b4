/**
 * What one seed draws: a cluster, what runs on it, what its users do and what goes wrong.
 *
 * Swarm testing: a seed leaves most kinds of fault out and has others often, because faults that are always all there hide
 * one another. What seeds draw is held to a distribution by a test.
 */
import { between, seededRandom, type Random } from '@cloudless/base'
import type { BehaviourName } from '../container-behaviour.ts'
import type { LinkQuality } from '../link.ts'
import { chance, forkRandom, pickOne, wholeBetween } from '../random-streams.ts'
import type { DiskQuality } from '../simulated-disk.ts'
import type { NodeFacts } from '../world.ts'
import { faultKinds, type FaultKind } from './faults.ts'
import { nodesMax, operationKinds, type OperationKind } from './operations.ts'
import { drawWorkload, millicoresOf, type PlannedWorkload } from './workload-draws.ts'

export interface SeedPlan {
  readonly seed: number
  readonly chaosMs: number
  readonly flags: readonly string[]
  readonly disk: DiskQuality
  readonly nodes: readonly NodeFacts[]
  readonly workloads: readonly PlannedWorkload[]
  /** How long until the next of each kind, on average. */
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly operations: ReadonlyMap<OperationKind, number>
  /** Of new versions: which images users roll out. */
  readonly behaviours: readonly BehaviourName[]
}

const minuteMs = 60_000
const gibibyte = 1n << 30n
const faultShare = 0.3
const operationShare = 0.6
/** Of the cluster's processors that replicas ask for at first: a rollout may need as much again. */
const requestedShareMax = 0.35

export function drawPlan(seed: number): SeedPlan {
  const random = forkRandom(seededRandom(seed))
  const heartbeatMs = pickOne(random, [500, 1_000, 2_000, 2_000, 5_000, 5_000, 10_000, 10_000])
  const nodes = drawNodes(random)
  return {
    seed,
    chaosMs: wholeBetween(random, 30, 120) * minuteMs,
    flags: membershipFlags(heartbeatMs, between(random, 1.6, 3)),
    disk: drawDisk(random),
    nodes,
    workloads: drawWorkloads(random, nodes),
    faults: drawKinds(random, faultKinds, faultShare, [3, 60]),
    operations: drawKinds(random, operationKinds, operationShare, [2, 40]),
    behaviours: pickOne(random, [
      ['steady'],
      ['steady', 'slow'],
      ['steady', 'slow', 'stubborn', 'flaky'],
      ['steady', 'unready', 'crashing', 'absent'],
      ['steady', 'slow', 'stubborn', 'flaky', 'unready', 'crashing', 'absent'],
    ]),
  }
}

/** Settings as an operator would write them who has read what they mean. */
function membershipFlags(heartbeatMs: number, patience: number): string[] {
  const timeoutMs = Math.round(heartbeatMs * patience)
  return [
    ...['--membership-heartbeat-interval', `${heartbeatMs}ms`],
    ...['--membership-heartbeat-timeout', `${timeoutMs}ms`],
    ...['--membership-heartbeat-timeout-max', `${Math.max(15_000, 4 * timeoutMs)}ms`],
  ]
}

function drawNodes(random: Random): NodeFacts[] {
  const zones = wholeBetween(random, 1, 3)
  const quality = drawLink(random)
  const areAlike = chance(random, 0.4)
  const alike = drawSize(random)
  return Array.from({ length: wholeBetween(random, 1, 9) }, (_, n) => ({
    name: `n${n + 1}`,
    zone: `zone-${(n % zones) + 1}`,
    ...(areAlike ? alike : drawSize(random)),
    link: chance(random, 0.7) ? quality : drawLink(random),
    disk: drawDisk(random),
  }))
}

function drawSize(random: Random): Pick<NodeFacts, 'cpuMillicores' | 'memoryBytes'> {
  return {
    cpuMillicores: pickOne(random, [1_000, 2_000, 4_000, 8_000]),
    memoryBytes: BigInt(pickOne(random, [2, 4, 8, 16])) * gibibyte,
  }
}

/** A cable, a wireless network, a far-away provider, a phone. */
function drawLink(random: Random): LinkQuality {
  return pickOne(random, [
    { delayMs: 0.3, jitterMs: 0.5, lossShare: 0 },
    { delayMs: 2, jitterMs: 20, lossShare: 0.005 },
    { delayMs: 60, jitterMs: 10, lossShare: 0.001 },
    { delayMs: 50, jitterMs: 300, lossShare: 0.05 },
  ])
}

/** A good one, a spinning one, a memory card. */
function drawDisk(random: Random): DiskQuality {
  return pickOne(random, [
    { syncMsMin: 0.3, syncMsMax: 3 },
    { syncMsMin: 5, syncMsMax: 25 },
    { syncMsMin: 10, syncMsMax: 300 },
  ])
}

function drawWorkloads(random: Random, nodes: readonly NodeFacts[]): PlannedWorkload[] {
  let leftMillicores = nodes.reduce((sum, node) => sum + node.cpuMillicores!, 0) * requestedShareMax
  const workloads: PlannedWorkload[] = []
  for (let n = wholeBetween(random, 1, 6); n > 0; n--) {
    const room = { name: `w${n}`, millicoresMax: leftMillicores, nodesMax }
    const workload = drawWorkload(random, room)
    if (workload === undefined) break
    leftMillicores -= millicoresOf(workload, nodesMax)
    workloads.push(workload)
  }
  return workloads
}

/** Some of the kinds, each about once in so many minutes. */
function drawKinds<Kind>(
  random: Random,
  kinds: readonly Kind[],
  share: number,
  [fewest, most]: readonly [number, number],
): Map<Kind, number> {
  const drawn = new Map<Kind, number>()
  for (const kind of kinds) {
    const isIn = chance(random, share)
    // As often a few minutes as many: evenly over the logarithm.
    const minutes = fewest * (most / fewest) ** random.next()
    if (isIn) drawn.set(kind, minutes * minuteMs)
  }
  return drawn
}
