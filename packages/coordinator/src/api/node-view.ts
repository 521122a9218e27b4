/** What is served of a node: its record, with what is known of it now. */
import { create } from '@bufbuild/protobuf'
import {
  DrainStatusSchema,
  FailureDetectionSchema,
  NodeConditionSchema,
  NodePhase,
  ReplicaState,
  ResourceCapacitySchema,
  type DrainStatus,
  type Node,
  type NodeCondition,
  type NodeRecord,
  type ReplicaRecord,
  type ResourceCapacity,
} from '@cloudless/api'
import { type Clock, counted, formatDurationMs, isPublicAddress } from '@cloudless/base'
import type { Resources } from '@cloudless/scheduler'
import type { ClusterState, Held } from '../state/cluster-state.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import { unheard } from '../membership/arrivals.ts'
import { historyUntil } from '../membership/node-history.ts'
import {
  reliabilityParts,
  reliabilityScore,
  type ReliabilityInput,
} from '../membership/reliability.ts'
import { drainProgress, whatDrainWaitsFor } from '../controllers/drain-progress.ts'
import { isOver } from '../controllers/job-attempts.ts'
import { resourcesOf, sumOf } from '../controllers/replica-kinds.ts'

export interface NodeViewDeps {
  readonly state: ClusterState
  readonly liveNodes: LiveNodes
  readonly clock: Clock
  /** When this coordinator began to watch the nodes, unix milliseconds. */
  readonly startedAtMs: number
}

/** A clock further off than this is said; certificates are backdated by more. */
const clockSkewMsMax = 30_000

export function viewNode(deps: NodeViewDeps, { id, record, modRevision }: Held<NodeRecord>): Node {
  const live = deps.liveNodes.get(id)
  const replicas = deps.state
    .replicasOnNode(id)
    .map((held) => held.record)
    .filter((replica) => !isOver(replica))
  const reserved = sumOf(replicas.map((replica) => resourcesOf(replica.status!.resources)))
  return {
    ...record.node!,
    status: {
      ...record.node!.status!,
      message: messageOf(record, drainProgress(replicas).left),
      conditions: conditionsOf(deps, record),
    },
    reserved: capacityOf(reserved),
    replicaCount: replicas.length,
    imageCount: deps.liveNodes.imagesOf(id).size,
    ...reliabilityFields(deps, record),
    lastSeenMs: BigInt(Math.round(live?.lastSeenAtMs ?? 0)),
    resourceVersion: BigInt(modRevision),
    ...(live?.usage && { usage: live.usage }),
    ...(record.drainStartedAtMs > 0n && { drain: drainOf(deps, record, replicas) }),
    ...detectionFields(deps, id),
  }
}

export function reliabilityOf(deps: NodeViewDeps, record: NodeRecord): number {
  return reliabilityScore(reliabilityInput(deps, record))
}

function reliabilityFields(deps: NodeViewDeps, record: NodeRecord) {
  const input = reliabilityInput(deps, record)
  return { reliabilityScore: reliabilityScore(input), reliability: reliabilityParts(input) }
}

function detectionFields({ liveNodes }: NodeViewDeps, nodeId: string): Pick<Node, 'detection'> {
  const detection = liveNodes.detectionOf(nodeId)
  if (detection === undefined) return {}
  const { intervalMs, deviationMs, limitMs, suspicion: phi } = detection
  return { detection: create(FailureDetectionSchema, { intervalMs, deviationMs, limitMs, phi }) }
}

function reliabilityInput(deps: NodeViewDeps, record: NodeRecord): ReliabilityInput {
  const node = record.node!
  const live = deps.liveNodes.get(node.id)
  const nowMs = deps.clock.wallMs()
  // How an attempt ended is in the node's history, for longer than the attempt is kept.
  const states = deps.state
    .replicasOnNode(node.id)
    .filter(({ record: replica }) => !isOver(replica))
    .map(({ record: replica }) => replica.status!.state)
  const ratio = (used: number, of: number): number => (of > 0 ? used / of : 0)
  const { arrivals, intervalMs } = live?.liveness.habits ?? { arrivals: unheard, intervalMs: 1 }
  return {
    phase: node.status!.phase,
    enrolledForMs: nowMs - Number(node.createdAtMs),
    silentForMs: live && live.lastSeenAtMs > 0 ? nowMs - live.lastSeenAtMs : Infinity,
    heartbeatIntervalMs: intervalMs,
    usualGapMs: intervalMs + arrivals.lateMs + arrivals.deviationMs,
    history: historyUntil(record, { nowMs, watchedSinceMs: deps.startedAtMs }),
    runningReplicas: states.filter((state) => state === ReplicaState.RUNNING).length,
    failedReplicas: states.filter((state) => state === ReplicaState.FAILED).length,
    cpuUsedRatio: ratio(live?.usage?.cpuMillicores ?? 0, node.capacity?.cpuMillicores ?? 0),
    memoryUsedRatio: ratio(
      Number(live?.usage?.memoryBytes ?? 0n),
      Number(node.capacity?.memoryBytes ?? 0n),
    ),
    capacity: node.capacity,
    conditions: live?.conditions ?? [],
    taintCount: node.taints.length,
    hasPublicAddress: node.addresses.some(isPublicAddress),
  }
}

/**
 * Of all nodes of a large cluster together there may be more millicores than the contract can say; and what nodes say of
 * themselves may be nonsense that must not keep people from being told of the others.
 */
const int32Max = 2 ** 31 - 1
const int64Max = 2n ** 63n - 1n

export function asInt32(count: number): number {
  return Math.min(Math.max(count, 0), int32Max)
}

export function asInt64(amount: bigint): bigint {
  if (amount < 0n) return 0n
  return amount > int64Max ? int64Max : amount
}

export function capacityOf(resources: Resources): ResourceCapacity {
  return create(ResourceCapacitySchema, {
    cpuMillicores: asInt32(resources.cpuMillis),
    memoryBytes: asInt64(BigInt(resources.memoryBytes)),
    storageBytes: asInt64(BigInt(resources.storageBytes)),
    bandwidthBps: asInt64(BigInt(resources.bandwidthBps)),
    gpuCount: asInt32(resources.gpuCount),
  })
}

function drainOf(
  { state }: NodeViewDeps,
  record: NodeRecord,
  replicas: readonly ReplicaRecord[],
): DrainStatus {
  const { left, daemons } = drainProgress(replicas)
  return create(DrainStatusSchema, {
    startedAtMs: record.drainStartedAtMs,
    deadlineMs: record.drainDeadlineMs,
    force: record.drainForce,
    // What came to it since, from a decision under way, has to go as well.
    total: Math.max(record.drainReplicas, left),
    left,
    daemons,
    waiting: left === 0 ? [] : whatDrainWaitsFor(state, record.node!.id),
  })
}

function messageOf(record: NodeRecord, left: number): string {
  if (record.drainStartedAtMs === 0n) return record.node!.status!.message
  if (record.node!.status!.phase !== NodePhase.DRAINING) return record.node!.status!.message
  return left === 0 ? 'drained' : `draining: ${counted(left, 'replica')} left`
}

function conditionsOf(deps: NodeViewDeps, record: NodeRecord): NodeCondition[] {
  const node = record.node!
  const live = deps.liveNodes.get(node.id)
  const ready = node.status!.phase === NodePhase.READY
  const conditions: NodeCondition[] = [
    create(NodeConditionSchema, {
      type: 'Ready',
      status: ready ? 'True' : node.status!.phase === NodePhase.OFFLINE ? 'Unknown' : 'False',
      reason: ready ? 'AgentReady' : 'AgentNotReady',
      message: node.status!.message,
      lastTransitionMs: node.status!.lastTransitionMs,
    }),
    ...(live?.conditions ?? []),
  ]
  if (live?.liveness.kind === 'leaving') {
    conditions.push(
      create(NodeConditionSchema, {
        type: 'AgentRestarting',
        status: 'True',
        reason: 'Goodbye',
        message: 'its agent was stopped on purpose; its containers run on',
      }),
    )
  }
  if (record.heldUntilMs > 0n && node.status!.phase === NodePhase.OFFLINE) {
    conditions.push(heldCondition(record, deps.clock.wallMs()))
  }
  const skewMs = live?.clockSkewMs ?? 0
  // The agent, which knows the round trip, may have said so itself.
  const isSaid = conditions.some(({ type }) => type === 'ClockSkew')
  if (Math.abs(skewMs) > clockSkewMsMax && !isSaid) {
    conditions.push(
      create(NodeConditionSchema, {
        type: 'ClockSkew',
        status: 'True',
        reason: 'ClockOff',
        message:
          `its clock is ${formatDurationMs(Math.abs(skewMs))} ` +
          `${skewMs > 0 ? 'ahead of' : 'behind'} the coordinator's: set up NTP on it`,
      }),
    )
  }
  return conditions
}

function heldCondition({ heldUntilMs, lostAtMs }: NodeRecord, nowMs: number): NodeCondition {
  const leftMs = Math.max(0, Math.round((Number(heldUntilMs) - nowMs) / 1_000) * 1_000)
  return create(NodeConditionSchema, {
    type: 'ReplacementHeld',
    status: 'True',
    reason: 'MassLoss',
    message:
      'it vanished together with many others: what it ran is replaced in ' +
      `${formatDurationMs(leftMs)} at the latest, unless they come back`,
    lastTransitionMs: lostAtMs,
  })
}
