import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  RolloutPhase,
  RolloutStatusSchema,
  RolloutStrategyKind,
  WorkloadType,
  type AutoscalingSchema,
  type WorkloadRecord,
} from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { putRecord } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { AutoscaleController } from './autoscale-controller.ts'
import { lullMsMin } from './scale-history.ts'

const id = 'default-web'
const resources = { requests: { cpuMillicores: 100 } }

type Autoscaling = MessageInitShape<typeof AutoscalingSchema>

/** A workload with two ready replicas, whose CPU is what `use` says, in percent of the request; `use` may be changed. */
async function openAutoscaler(t: TestContext, facts: Autoscaling = {}, rest: object = {}) {
  const clock = new FakeClock()
  const cluster = await openCluster(t)
  const { report, said } = recordingReporter()
  const autoscaling = {
    minReplicas: 1,
    maxReplicas: 10,
    metrics: [{ type: 'cpu', targetPercent: 50 }],
    scaleUpStabilizationMs: 0n,
    scaleDownStabilizationMs: 0n,
    ...facts,
  } as Autoscaling
  const web = workloadRecord({ spec: { replicas: 2, autoscaling, resources, ...rest } })
  await cluster.put('workload', { [id]: web })
  await cluster.put('replica', {
    'web-1': readyReplica('web-1', 'node-a', { spec: { resources } }),
    'web-2': readyReplica('web-2', 'node-b', { spec: { resources } }),
    'web-3': replicaRecord('web-3', { spec: { resources } }),
    'web-4': readyReplica('web-4', 'node-b', { spec: { resources }, stopping: true }),
  })
  const told = { use: 50 as number | undefined, writes: 0 }
  cleanUp(
    t,
    cluster.state.listen((changes) => {
      told.writes += changes.filter(({ kind }) => kind === 'workload').length
    }),
  )
  const usages = {
    of: () =>
      told.use === undefined ? undefined : { cpuMillicores: told.use, memoryBytes: 0, metrics: {} },
  }
  const deps = { state: cluster.state, clock, random: seededRandom(7), usages, report }
  const record = (): WorkloadRecord => cluster.state.get('workload', id)!
  return {
    ...cluster,
    clock,
    told,
    record,
    replicas: () => record().workload!.spec!.replicas,
    scaled: () =>
      said.filter(({ what }) => what === 'workloadAutoscaled').map(({ args }) => args[1]),
    errors: () => said.filter(({ what }) => what === 'error'),
    start(): AutoscaleController {
      const controller = new AutoscaleController(deps)
      cleanUp(t, () => controller.close())
      return controller
    },
  }
}

/** Long enough for a look at least. */
async function looks(clock: FakeClock, times = 1): Promise<void> {
  for (let n = 0; n < times; n++) await clock.pass(15_000, 1_000)
}

test('a workload grows when its replicas use more, and shrinks when they use less', async (t) => {
  const web = await openAutoscaler(t)
  web.start()
  web.told.use = 120
  await looks(web.clock)
  await eventually(() => web.replicas() === 5)
  web.told.use = 20
  await looks(web.clock)
  await eventually(() => web.replicas() === 1)
  const { workload, autoscaling } = web.record()
  assert.equal(workload!.revision, 1n)
  assert.ok(autoscaling!.lastScaledAtMs > 0n && autoscaling!.lastScaledAtMs <= web.clock.wallMs())
  assert.deepEqual(web.scaled(), [
    { from: 2, to: 5, why: 'cpu is 120 % of 50 % wanted, the mean of 2 of 2 ready' },
    { from: 5, to: 1, why: 'cpu is 20 % of 50 % wanted, the mean of 2 of 2 ready' },
  ])
  assert.deepEqual(web.errors(), [])
})

test('figures are to be seen, and are no reason to write', async (t) => {
  const web = await openAutoscaler(t)
  const controller = web.start()
  assert.equal(controller.statusOf(id), undefined)
  for (const use of [51, 49, 52]) {
    web.told.use = use
    await looks(web.clock, 3)
    const [reading] = controller.statusOf(id)!.readings
    assert.deepEqual(
      [reading!.name, reading!.value, reading!.target, reading!.replicas],
      ['cpu', use, 50, 2],
    )
  }
  assert.equal(controller.statusOf(id)!.recommended, 2)
  assert.equal(web.told.writes, 0)
})

test('what no client is sent to before a switch has no say', async (t) => {
  const web = await openAutoscaler(t)
  const rollout = create(RolloutStatusSchema, {
    phase: RolloutPhase.PROGRESSING,
    strategy: RolloutStrategyKind.BLUE_GREEN,
    revision: 2n,
    fromRevision: 1n,
  })
  const before = web.record()
  const workload = { ...before.workload!, revision: 2n }
  await web.put('workload', { [id]: { ...before, workload, rollout } })
  const status = { revision: 2n }
  const idle = readyReplica('web-5', 'node-a', { spec: { resources }, status })
  await web.put('replica', { 'web-5': idle })
  const controller = web.start()
  await looks(web.clock)
  assert.equal(controller.statusOf(id)!.readings[0]!.replicas, 2)
  const switched = { ...rollout, switched: true }
  await web.put('workload', { [id]: { ...before, workload, rollout: switched } })
  await looks(web.clock)
  assert.equal(controller.statusOf(id)!.readings[0]!.replicas, 1)
})

test('nothing is changed while nothing is known, and it says so', async (t) => {
  const web = await openAutoscaler(t)
  const controller = web.start()
  web.told.use = undefined
  await looks(web.clock, 3)
  assert.equal(web.replicas(), 2)
  assert.equal(controller.statusOf(id)!.message, 'no ready replica tells cpu')
})

test('a restart does not shrink at once, and does not make a lull begin anew', async (t) => {
  const web = await openAutoscaler(t, { scaleDownStabilizationMs: 300_000n })
  const first = web.start()
  web.told.use = 10
  await web.clock.pass(lullMsMin + 30_000, 1_000)
  await eventually(() => web.record().recommendations.length === 2)
  assert.equal(web.told.writes, 1)
  await first.close()
  await web.clock.pass(30_000, 1_000)
  web.start()
  await web.clock.pass(150_000, 1_000)
  assert.equal(web.replicas(), 2)
  await web.clock.pass(60_000, 1_000)
  await eventually(() => web.replicas() === 1)
  assert.deepEqual(web.record().recommendations, [])
})

test('a lull that ends is struck off before anything else is forgotten', async (t) => {
  const web = await openAutoscaler(t, { scaleDownStabilizationMs: 300_000n })
  web.start()
  web.told.use = 10
  await web.clock.pass(lullMsMin + 30_000, 1_000)
  await eventually(() => web.record().recommendations.length === 2)
  web.told.use = 50
  await looks(web.clock)
  await eventually(() => web.record().recommendations.length === 0)
  assert.equal(web.replicas(), 2)
})

test('growing by steps goes on without waiting for a whole period', async (t) => {
  const web = await openAutoscaler(t)
  web.start()
  web.told.use = 1_000
  await web.clock.pass(15_000, 500)
  await eventually(() => web.replicas() === 6)
  await web.clock.pass(15_000, 500)
  await eventually(() => web.replicas() === 10)
})

test('it begins when autoscaling is asked for, and ends when it is not', async (t) => {
  const web = await openAutoscaler(t)
  const autoscaled = web.record()
  await web.put('workload', { [id]: workloadRecord({ spec: { replicas: 2, resources } }) })
  web.told.use = 120
  const controller = web.start()
  await looks(web.clock, 2)
  assert.equal(web.replicas(), 2)
  await web.put('workload', { [id]: autoscaled })
  await eventually(() => web.replicas() === 5)
  await web.put('workload', { [id]: workloadRecord({ spec: { replicas: 4, resources } }) })
  await eventually(() => controller.statusOf(id) === undefined)
  await looks(web.clock, 2)
  assert.equal(web.replicas(), 4)
})

test('what somebody else changes meanwhile is not undone', async (t) => {
  const web = await openAutoscaler(t)
  web.start()
  web.told.use = 120
  // Between the controller's decision and its commit.
  const { state } = web
  const record = web.record()
  const labelled = { ...record, workload: { ...record.workload!, labels: { tier: 'front' } } }
  const write = state.write({ writes: [putRecord('workload', id, labelled)] })
  await looks(web.clock, 2)
  await write
  await eventually(() => web.replicas() === 5)
  assert.deepEqual(web.record().workload!.labels, { tier: 'front' })
})

for (const [what, facts, rest] of [
  ['of another type', {}, { type: WorkloadType.JOB }],
  ['whose limits are in disorder', { minReplicas: 5, maxReplicas: 4 }, {}],
] as const) {
  test(`a workload ${what} is left alone`, async (t) => {
    const web = await openAutoscaler(t, facts, rest)
    web.start()
    web.told.use = 500
    await looks(web.clock, 3)
    assert.equal(web.replicas(), 2)
  })
}

test('a workload that is being deleted is left alone', async (t) => {
  const web = await openAutoscaler(t)
  web.start()
  await web.put('workload', { [id]: { ...web.record(), deletedAtMs: 1n } })
  web.told.use = 500
  await looks(web.clock, 3)
  assert.equal(web.replicas(), 2)
})
