/**
 * Invariant 5: with faults healed, the cluster reaches its desired state and stays there.
 *
 * Says what is still missing, for a person; nothing when all is as it should be.
 */
import {
  NodePhase,
  ReplicaState,
  RolloutPhase,
  WorkloadType,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { wordOf } from '../words.ts'
import type { World } from '../world.ts'
import type { Picture } from './checker.ts'

export function missingFrom(world: World): string[] {
  const running = world.coordinator.running
  if (running === undefined) return ['the coordinator does not run']
  const { state } = running
  const missing = [...nodesNotReady(state)]
  for (const { record } of state.all('workload'))
    missing.push(...workloadNotReady(record, world, state))
  missing.push(...recordsLeftOver(state), ...containersOutOfPlace(world, state))
  return missing
}

function* nodesNotReady(state: Picture): Iterable<string> {
  for (const { record } of state.all('node')) {
    const { name, status } = record.node!
    const { phase, message } = status!
    if (phase !== NodePhase.READY) yield `node ${name} is ${wordOf(NodePhase, phase)}: ${message}`
  }
}

function* workloadNotReady(
  workload: WorkloadRecord,
  world: World,
  state: Picture,
): Iterable<string> {
  const { id, name, spec } = workload.workload!
  if (workload.deletedAtMs > 0n) {
    yield `workload ${name} is still being deleted`
    return
  }
  const replicas = state.replicasOfWorkload(id).map(({ record }) => record)
  switch (spec!.type) {
    case WorkloadType.JOB:
      return yield* jobNotOver(workload, replicas)
    case WorkloadType.CRON:
      return
    case WorkloadType.DAEMON: {
      // One that its node has no room for waits, and is there.
      const waiting = replicas.filter(({ status }) => status!.pendingReasons.length > 0)
      const placed = replicas.filter((replica) => !waiting.includes(replica))
      const nodes = [...state.all('node')].length
      return yield* replicasNotReady(workload, placed, nodes - waiting.length)
    }
    default:
      yield* replicasNotReady(workload, replicas, spec!.replicas)
      yield* loadNotMet(workload, world.loads.get(id))
      yield* rolloutNotOver(workload)
  }
}

function* replicasNotReady(
  { workload }: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
  wanted: number,
): Iterable<string> {
  const { name, revision } = workload!
  const current = replicas.filter(
    (r) => r.status!.ready && !r.stopping && r.status!.revision === revision,
  )
  if (current.length === wanted && replicas.length === wanted) return
  yield (
    `workload ${name} of revision ${revision} wants ${wanted} ready, and nothing else; ` +
      `there are: ${replicas.map(inWords).join(', ') || 'none'}`
  )
}

/** Within what a mean near its target, and the rounding up to whole replicas, leave open. */
function* loadNotMet({ workload }: WorkloadRecord, load: number | undefined): Iterable<string> {
  const { name, spec } = workload!
  const { autoscaling, replicas, rollout } = spec!
  const metric = autoscaling?.metrics[0]
  if (load === undefined || autoscaling === undefined || metric === undefined) return
  const each = spec!.resources!.requests!.cpuMillicores * (metric.targetPercent / 100)
  const { minReplicas, maxReplicas } = autoscaling
  // There are never fewer than an update must keep available.
  const fewest = Math.max(minReplicas, rollout?.minAvailable ?? 0)
  const wanted = Math.min(maxReplicas, Math.max(fewest, Math.ceil(load / each)))
  if (Math.abs(wanted - replicas) <= 1) return
  yield `workload ${name} has ${replicas} replicas, and its load of ${load} m asks for ${wanted}`
}

function* rolloutNotOver({ workload, rollout }: WorkloadRecord): Iterable<string> {
  const phase = rollout?.phase ?? RolloutPhase.COMPLETED
  if (phase === RolloutPhase.COMPLETED) return
  yield `the rollout of ${workload!.name} is ${wordOf(RolloutPhase, phase)}: ${rollout!.message}`
}

function* jobNotOver(
  { workload, job }: WorkloadRecord,
  replicas: readonly ReplicaRecord[],
): Iterable<string> {
  const active = replicas.filter(
    ({ status }) => status!.state !== ReplicaState.STOPPED && status!.state !== ReplicaState.FAILED,
  )
  if ((job?.outcome ?? '') !== '' && active.length === 0) return
  yield (
    `job ${workload!.name} has the outcome "${job?.outcome ?? ''}" and still: ` +
      active.map(inWords).join(', ')
  )
}

function inWords({ status }: ReplicaRecord): string {
  const { id, state, reason, revision } = status!
  return `${id} of revision ${revision} is ${wordOf(ReplicaState, state)} ${reason}`
}

function* recordsLeftOver(state: Picture): Iterable<string> {
  for (const { id, record } of state.all('replica')) {
    const { workloadId, nodeId } = record.status!
    if (!state.get('workload', workloadId)) yield `${id} is of a workload that is gone`
    if (nodeId !== '' && !state.get('node', nodeId)) yield `${id} is on a node that is gone`
  }
}

/** What runs is what the records say, on every machine that is there. */
function* containersOutOfPlace(world: World, state: Picture): Iterable<string> {
  const running = new Map<string, string>()
  for (const [nodeId, { containers, name }] of world.nodes) {
    for (const { replicaId } of containers.running()) {
      running.set(replicaId, nodeId)
      const record = state.get('replica', replicaId)
      if (record?.status!.nodeId !== nodeId) yield `${name} runs ${replicaId}, which is not its`
    }
  }
  for (const { id, record } of state.all('replica')) {
    if (record.status!.ready && running.get(id) !== record.status!.nodeId) {
      yield `${id} is ready, says its record, and runs nowhere`
    }
  }
}
