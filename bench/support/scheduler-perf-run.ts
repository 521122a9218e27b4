/**
 * One workload of scheduler_perf on the coordinator's own pieces: from the moment its record is handed to the store until
 * the last of its replicas has a place that is stored and seen.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WorkloadRecordSchema, type ReplicaRecord, type Workload } from '@cloudless/api'
import { every, systemClock } from '@cloudless/base'
import {
  deleteRecord,
  nodeRecord,
  openControlPlane,
  putRecord,
  type ClusterState,
} from '@cloudless/coordinator/testing'
import { create } from '@bufbuild/protobuf'
import { PlayedAgents, recordsPerWrite, reportRunning } from './played-agents.ts'
import {
  nodeCapacity,
  nodeCount,
  workloadOf,
  zoneLabel,
  type Churn,
  type Group,
  type PerfCase,
} from './scheduler-perf-cases.ts'

export interface PerfResult {
  readonly ms: number
  /** Replicas that made room for others while measuring. */
  readonly stopped: number
}

export async function runCase(perf: PerfCase): Promise<PerfResult> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-scheduler-perf-'))
  const plane = await openControlPlane({
    directory,
    prepare: (state) => storeNodes(state, perf.zones),
  })
  try {
    return await Promise.race([measure(plane.state, perf), plane.failed])
  } finally {
    await plane.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(state: ClusterState, perf: PerfCase): Promise<PerfResult> {
  const agents = new PlayedAgents(state)
  if (perf.init) {
    await place(state, perf.init, { name: 'init', namespace: 'sched-0' })
    await reportRunning(state)
  }
  const stopChurn = perf.churn ? startChurn(state, perf.churn) : undefined
  const ms = await place(state, perf.measured, { name: 'measured', namespace: 'sched-1' })
  await stopChurn?.()
  await agents.close()
  return { ms, stopped: agents.stopped }
}

/** Milliseconds until every replica has a place. */
async function place(
  state: ClusterState,
  { template, replicas }: Group,
  names: { readonly name: string; readonly namespace: string },
): Promise<number> {
  const workload = workloadOf(template, { ...names, replicas })
  const placed = Promise.withResolvers<void>()
  let left = replicas
  const stopListening = state.listen((changes) => {
    for (const { kind, before, after } of changes) {
      if (kind !== 'replica') continue
      const [was, is] = [before as ReplicaRecord | undefined, after as ReplicaRecord | undefined]
      if (is?.status!.workloadId !== workload.id || is.status!.nodeId === '') continue
      if (was === undefined || was.status!.nodeId === '') left--
    }
    if (left === 0) placed.resolve()
  })
  const startMs = systemClock.monotonicMs()
  await storeWorkload(state, workload)
  await placed.promise
  stopListening()
  return systemClock.monotonicMs() - startMs
}

async function storeNodes(state: ClusterState, zones: readonly string[]): Promise<void> {
  const writes = Array.from({ length: nodeCount }, (_, n) => {
    const name = `scheduler-perf-${String(n).padStart(4, '0')}`
    return putRecord('node', `node-${name}`, nodeOf(name, zones[n % zones.length]!, nodeCapacity))
  })
  for (let n = 0; n < writes.length; n += recordsPerWrite) {
    await state.write({ writes: writes.slice(n, n + recordsPerWrite) })
  }
}

function nodeOf(name: string, zone: string, capacity: typeof nodeCapacity) {
  const { node, ...record } = nodeRecord(`node-${name}`)
  const labels = zone === '' ? {} : { [zoneLabel]: zone }
  const has = { ...node!.capacity!, ...capacity }
  return { ...record, node: { ...node!, name, zone, labels, capacity: has, allocatable: has } }
}

async function storeWorkload(state: ClusterState, workload: Workload): Promise<void> {
  const record = create(WorkloadRecordSchema, { workload })
  await state.write({ writes: [putRecord('workload', workload.id, record)] })
}

/** Until the returned function is called, which waits for what is under way. */
function startChurn(state: ClusterState, churn: Churn): () => Promise<void> {
  let rounds = 0
  let underWay: Promise<unknown> = Promise.resolve()
  const round = async (n: number): Promise<void> => {
    if (churn.kind === 'create') await storeChurn(state, churn, n, 1)
    else if (n % 2 === 0) await createOfEach(state, churn, n)
    else await deleteOfEach(state, n - 1)
  }
  const stop = every(systemClock, churn.intervalMs, () => {
    const n = rounds++
    underWay = underWay.then(() => round(n))
  })
  return async () => {
    stop()
    await underWay
  }
}

function storeChurn(state: ClusterState, churn: Churn, n: number, replicas: number): Promise<void> {
  const names = { name: `churn-${n}`, namespace: 'churn', replicas }
  return storeWorkload(state, workloadOf(churn.template, names))
}

async function createOfEach(state: ClusterState, churn: Churn, n: number): Promise<void> {
  const node = nodeOf(`churn-${n}`, '', { ...nodeCapacity, cpuMillicores: 0, memoryBytes: 0n })
  await state.write({ writes: [putRecord('node', `node-churn-${n}`, node)] })
  await storeChurn(state, churn, n, 1)
  const names = { name: `service-${n}`, namespace: 'churn', replicas: 0 }
  await storeWorkload(state, workloadOf(churn.template, names))
}

async function deleteOfEach(state: ClusterState, n: number): Promise<void> {
  await state.write({ writes: [deleteRecord('node', `node-churn-${n}`)] })
  for (const name of ['churn', 'service']) {
    const id = `churn-${name}-${n}`
    const record = state.get('workload', id)!
    const deleted = { ...record, deletedAtMs: BigInt(systemClock.wallMs()) }
    await state.write({ writes: [putRecord('workload', id, deleted)] })
  }
}
