/**
 * Invariant 5: with faults healed, the cluster reaches its desired state and stays there.
 *
 * Says what is still missing, for a person; nothing when all is as it should be.
 */
import { NodePhase, ReplicaState, type WorkloadRecord } from '@cloudless/api'
import { wordOf } from '../words.ts'
import type { World } from '../world.ts'
import type { Picture } from './checker.ts'

export function missingFrom(world: World): string[] {
  const running = world.coordinator.running
  if (running === undefined) return ['the coordinator does not run']
  const { state } = running
  const missing = [...nodesNotReady(state)]
  for (const { record } of state.all('workload')) missing.push(...workloadNotReady(record, state))
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

function* workloadNotReady(workload: WorkloadRecord, state: Picture): Iterable<string> {
  const { id, name, revision, spec } = workload.workload!
  if (workload.deletedAtMs > 0n) {
    yield `workload ${name} is still being deleted`
    return
  }
  const replicas = state.replicasOfWorkload(id).map(({ record }) => record)
  const current = replicas.filter(
    (r) => r.status!.ready && !r.stopping && r.status!.revision === revision,
  )
  if (current.length !== spec!.replicas || replicas.length !== spec!.replicas) {
    const shown = replicas.map((r) => {
      const { id: replicaId, state: now, reason, revision: of } = r.status!
      return `${replicaId} of revision ${of} is ${wordOf(ReplicaState, now)} ${reason}`
    })
    yield (
      `workload ${name} of revision ${revision} wants ${spec!.replicas} ready, and nothing ` +
        `else; there are: ${shown.join(', ') || 'none'}`
    )
  }
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
