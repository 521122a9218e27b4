/**
 * Goal: no history of workloads, nodes and restarts makes preemption break what it promises, and once the history ends it
 * comes to rest. Method: events drawn from a seed against the real controllers and store; pretended agents that start and
 * end what they are told; what must hold is checked with each batch of changes, what must come about at the end.
 *
 * To repeat a failure: SEED=<n>.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { NodePhase, ReplicaState, type NodeRecord, type ReplicaRecord } from '@cloudless/api'
import { seededRandom, sleep, systemClock, type Random } from '@cloudless/base'
import type { Write } from '@cloudless/metadata'
import { planPreemption } from '@cloudless/scheduler'
import {
  deleteRecord,
  putRecord,
  type ClusterState,
  type RecordChange,
} from '../state/cluster-state.ts'
import { eventually, openState, openStore, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, workloadRecord } from '../testing/records.ts'
import { openScheduling, schedulerDefaults, type OpenScheduling } from '../testing/scheduling.ts'
import { minAvailableOf } from './plan-workload.ts'
import { withStatus } from './replica-records.ts'
import type { Reporter } from './reporter.ts'
import { SpareReplicas } from './spare-replicas.ts'
import { WorkloadController } from './workload-controller.ts'

const seeds = process.env['SEED'] ? [Number(process.env['SEED'])] : [1, 2, 3, 4, 5, 6, 7, 8]
const rounds = 60

interface Controllers extends OpenScheduling {
  readonly state: ClusterState
  close(): Promise<void>
}

for (const seed of seeds) {
  test(`seed ${seed}: nothing is promised twice, floors hold, and it comes to rest`, async (t) => {
    const random = seededRandom(seed)
    const store = await openStore(t)
    const { report, said } = recordingReporter()
    let controllers = await start(t, await openState(t, store), report, seed)
    const nodeCount = 2 + (seed % 3)
    for (let n = 0; n < nodeCount; n++) {
      await controllers.state.write({
        writes: [putRecord('node', `node-${n}`, aNode(n, NodePhase.READY))],
      })
    }
    for (let round = 0; round < rounds; round++) {
      const { state } = controllers
      const dice = random.next()
      if (dice < 0.25) await state.write({ writes: [aWorkload(random)] })
      else if (dice < 0.35) await state.write({ writes: [aPhase(random, nodeCount)] })
      else if (dice < 0.42) {
        await controllers.close()
        controllers = await start(t, await openState(t, store), report, seed + round)
      } else await actAsAgents(state, random)
      await sleep(systemClock, 3)
    }
    const { state, view, controller, preemption } = controllers
    for (let n = 0; n < nodeCount; n++) {
      await state.write({ writes: [putRecord('node', `node-${n}`, aNode(n, NodePhase.READY))] })
    }
    for (let quiet = 0; quiet < 5;) {
      const { revision } = state
      await actAsAgents(state, { ...random, next: () => 0 })
      await sleep(systemClock, 30)
      await controller.settled()
      await preemption.settled()
      quiet = state.revision === revision ? quiet + 1 : 0
    }
    controller.retryAll()
    await eventually(
      () => unhelped(state, view).length === 0,
      () => unhelped(state, view),
    )
    checkVictims(said)
    assert.deepEqual(
      said.filter(({ what }) => what === 'error' || what === 'schedulingFailed'),
      [],
    )
  })
}

async function start(
  t: TestContext,
  state: ClusterState,
  report: Reporter,
  seed: number,
): Promise<Controllers> {
  const stopChecking = state.listen((changes) => check(state, changes))
  const scheduling = openScheduling(t, state, report)
  const deps = { state, clock: systemClock, random: seededRandom(seed), report }
  const workloads = new WorkloadController(deps)
  return {
    ...scheduling,
    state,
    async close() {
      await workloads.close()
      await scheduling.preemption.close()
      await scheduling.controller.close()
      scheduling.view.close()
      stopChecking()
    },
  }
}

const room = { memoryBytes: 1n << 40n, storageBytes: 1n << 40n, bandwidthBps: 1n << 40n }

const aNode = (n: number, phase: NodePhase): NodeRecord =>
  nodeRecord(`node-${n}`, { phase, node: { allocatable: { ...room, cpuMillicores: 1_000 } } })

function aPhase(random: Random, nodeCount: number): Write {
  const n = Math.floor(random.next() * nodeCount)
  const phase = random.next() < 0.5 ? NodePhase.READY : NodePhase.CORDONED
  return putRecord('node', `node-${n}`, aNode(n, phase))
}

/** One of six; made, or changed to fewer or more. */
function aWorkload(random: Random): Write {
  const n = Math.floor(random.next() * 6)
  const replicas = 1 + Math.floor(random.next() * 4)
  const spec = {
    replicas,
    priority: [0, 50, 101, 150, 200, 200][n]!,
    resources: { requests: { cpuMillicores: [200, 300, 400, 500, 700, 900][n]! } },
    rollout: { minAvailable: Math.floor(random.next() * replicas) },
  }
  return putRecord('workload', `default-w${n}`, workloadRecord({ name: `w${n}`, spec }))
}

/** Some of what is to run becomes ready, some of what is to stop is gone. */
async function actAsAgents(state: ClusterState, random: Random): Promise<void> {
  const writes: Write[] = []
  for (const { id, record } of state.all('replica')) {
    if (random.next() > 0.6) continue
    if (record.stopping) writes.push(deleteRecord('replica', id))
    else if (record.status!.state === ReplicaState.SCHEDULED) {
      const running = { state: ReplicaState.RUNNING, ready: true, readyAtMs: 1n }
      writes.push(putRecord('replica', id, withStatus(record, running)))
    }
  }
  // As an agent's report, each by itself and only if nobody has changed it meanwhile.
  for (const write of writes) {
    const id = (write as { readonly key: string }).key.split('/').at(-1)!
    const held = state.held('replica', id)
    if (held === undefined) continue
    const { key } = write as { readonly key: string }
    await state.write({
      preconditions: [{ kind: 'unchanged', key, modRevision: held.modRevision }],
      writes: held.record.stopping ? [deleteRecord('replica', id)] : [write],
    })
  }
}

/** With each batch of changes. */
function check(state: ClusterState, changes: readonly RecordChange[]): void {
  for (const { id, record } of state.all('node')) {
    const used = state
      .replicasOnNode(id)
      .reduce((sum, held) => sum + held.record.spec!.resources!.requests!.cpuMillicores, 0)
    assert.ok(used <= record.node!.allocatable!.cpuMillicores, `${id}: ${used}`)
  }
  const replicas = changes.filter(({ kind }) => kind === 'replica') as RecordChange<'replica'>[]
  for (const { before, after } of replicas) {
    if (after?.stopReason !== 'preempted' || before?.stopping !== false) continue
    const { workloadId } = after.status!
    // Its floor may have been raised after the stop, in the same batch.
    if (changes.some(({ id }) => id === workloadId)) continue
    const workload = state.get('workload', workloadId)!
    const left = state.replicasOfWorkload(workloadId).filter(({ record }) => isServing(record))
    assert.ok(left.length >= minAvailableOf(workload), `${workloadId}: ${left.length} are left`)
  }
}

function isServing({ status, stopping }: ReplicaRecord): boolean {
  return status!.ready && !stopping
}

/** Replicas that wait although room could be made for them, or is said to be. */
function unhelped(state: ClusterState, view: OpenScheduling['view']): string[] {
  const spare = new SpareReplicas(state)
  return [...state.all('replica')]
    .filter(({ record }) => {
      const { nodeId, nominatedNodeId } = record.status!
      if (nodeId !== '' || record.stopping) return false
      if (nominatedNodeId !== '') return true
      if (record.spec!.priority <= schedulerDefaults.preemptionPriorityAbove) return false
      return (
        planPreemption(view.table, view.pendingOf(record), {
          spareOf: (workloadId, { kind }) =>
            workloadId === kind.workloadId ? 0 : spare.of(workloadId),
        }) !== undefined
      )
    })
    .map(({ id }) => id)
}

function checkVictims(said: ReturnType<typeof recordingReporter>['said']): void {
  for (const { what, args } of said) {
    if (what !== 'roomMade') continue
    const [replica, , victims] = args as Parameters<Reporter['roomMade']>
    for (const victim of victims) assert.ok(victim.spec!.priority < replica.spec!.priority)
  }
}
