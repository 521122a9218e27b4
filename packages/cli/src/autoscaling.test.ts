/** Autoscaling from the command line. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { systemClock } from '@cloudless/base'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { WorkloadSchema } from '@cloudless/api'
import { aWorkload } from './testing/fake-state.ts'
import { startHarness } from './testing/harness.ts'

const autoscaling = {
  minReplicas: 2,
  maxReplicas: 10,
  metrics: [
    { type: 'cpu', targetPercent: 80 },
    { type: 'custom', name: 'queue_length', targetValue: 30 },
  ],
  scaleUpStabilizationMs: 0n,
  scaleDownStabilizationMs: 300_000n,
}

type Facts = Omit<MessageInitShape<typeof WorkloadSchema>, '$typeName' | '$unknown' | 'name'>

async function clusterWith(t: TestContext, facts: Facts = {}) {
  const { state, cli } = await startHarness(t)
  state.workloads.push(aWorkload({ name: 'shop', spec: { image: 'shop', replicas: 3 }, ...facts }))
  return { cli, spec: () => state.workloads.find(({ name }) => name === 'shop')!.spec! }
}

const autoscaled: Facts = { spec: { image: 'shop', replicas: 3, autoscaling } }

test('describe shows what is used, what is wanted, and why the number is as it is', async (t) => {
  const { cli } = await clusterWith(t, {
    ...autoscaled,
    status: {
      autoscaling: {
        recommended: 5,
        readings: [
          { name: 'cpu', value: 91.26, target: 80, replicas: 3 },
          { name: 'queue_length', value: 0, target: 30, replicas: 0 },
        ],
        lastScaledAtMs: BigInt(systemClock.wallMs() - 300_000),
        message: 'cpu is 91.3 % of 80 % wanted, the mean of 3 of 3 ready',
      },
    },
  })
  const { out } = await cli('describe workload shop')
  assert.match(out, /^Autoscaling:\n {2}Range: +2 to 10 replicas\n {2}Asked for: +5\n/m)
  assert.match(
    out,
    /Last scaled: +5m( ?\d+s)? ago\n {2}Windows: +grows at once, shrinks after 5m\n/,
  )
  assert.match(out, /Message: +cpu is 91.3 % of 80 % wanted/)
  assert.match(out, /METRIC +MEAN +TARGET +TOLD BY\n +cpu +91.3% +80% +3 replicas\n/)
  assert.match(out, /queue_length +- +30 +nobody\n/)
})

test('describe says so when nothing is known yet, and nothing of it otherwise', async (t) => {
  const { cli } = await clusterWith(t, autoscaled)
  assert.match((await cli('describe workload shop')).out, /Last scaled: +never\n/)
  assert.doesNotMatch((await cli('describe workload web')).out, /Autoscaling/)
})

test('lists show the range beside the number', async (t) => {
  const { cli } = await clusterWith(t, autoscaled)
  assert.match((await cli('workload list')).out, / 3 \(2-10\) /)
  assert.match((await cli('workload get shop')).out, /3 \(2-10\)/)
})

test('autoscale sets the limits and holds 80 % of the CPU unless told otherwise', async (t) => {
  const { cli, spec } = await clusterWith(t)
  const { out } = await cli('workload autoscale shop --min 2 --max 10')
  assert.equal(out, 'workload shop is autoscaled from 2 to 10, and now at 3\n')
  const { minReplicas, maxReplicas, metrics } = spec().autoscaling!
  assert.deepEqual([minReplicas, maxReplicas], [2, 10])
  assert.deepEqual(
    metrics.map((metric) => [metric.type, metric.targetPercent]),
    [['cpu', 80]],
  )
})

test('autoscale changes what flags name, and nothing else', async (t) => {
  const { cli, spec } = await clusterWith(t, autoscaled)
  await cli('autoscale shop --max 20 --cpu-percent 50 --memory-percent 90')
  const { minReplicas, maxReplicas, metrics } = spec().autoscaling!
  assert.deepEqual([minReplicas, maxReplicas], [2, 20])
  assert.deepEqual(
    metrics.map((metric) => [metric.type, metric.targetPercent || metric.targetValue]),
    [
      ['cpu', 50],
      ['custom', 30],
      ['memory', 90],
    ],
  )
})

test('autoscale --off keeps the number there is', async (t) => {
  const { cli, spec } = await clusterWith(t, autoscaled)
  const { out } = await cli('autoscale shop --off')
  assert.equal(out, 'workload shop is not autoscaled any more, and stays at 3\n')
  assert.equal(spec().autoscaling, undefined)
  assert.equal(spec().replicas, 3)
})

for (const [line, message] of [
  ['autoscale shop', /[Ss]ay what to change: --min, --max, --cpu-percent, --memory-percent, --off/],
  ['autoscale shop --cpu-percent 50', /[Ss]ay how many it may become with --max N/],
  ['autoscale shop --off --max 3', /leave out --max/],
] as const) {
  test(`\`${line}\` says what is missing`, async (t) => {
    const { cli } = await clusterWith(t)
    const { code, err } = await cli(line)
    assert.equal(code, 2)
    assert.match(err, message)
  })
}

test('update does not take a number for a workload that chooses its own', async (t) => {
  const { cli } = await clusterWith(t, autoscaled)
  const { code, err } = await cli('workload update shop --replicas 5')
  assert.equal(code, 2)
  assert.match(err, /change its limits with `workload autoscale`/)
  assert.equal((await cli('workload update shop --image shop:2')).code, 0)
})
