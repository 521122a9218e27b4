import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { AutoscalingSchema, WorkloadSpecSchema, type AutoscalingMetricSchema } from '@cloudless/api'
import * as fc from 'fast-check'
import { recommendReplicas, type ReadyReplica } from './recommend-replicas.ts'

type Metric = MessageInitShape<typeof AutoscalingMetricSchema>

const cpu = { type: 'cpu', targetPercent: 50 }
const memory = { type: 'memory', targetPercent: 80 }
const queue = { type: 'custom', name: 'queue', targetValue: 10 }

const spec = create(WorkloadSpecSchema, {
  resources: { requests: { cpuMillicores: 200, memoryBytes: 1_000n } },
})

function following(...metrics: Metric[]) {
  return create(AutoscalingSchema, { minReplicas: 1, maxReplicas: 100, metrics })
}

/** Ready replicas with these millicores; one that tells nothing for each undefined. */
function using(...millicores: readonly (number | undefined)[]): ReadyReplica[] {
  return millicores.map((cpuMillicores) => ({
    spec,
    usage: cpuMillicores === undefined ? undefined : { cpuMillicores, memoryBytes: 0, metrics: {} },
  }))
}

function telling(...figures: Readonly<Record<string, number>>[]): ReadyReplica[] {
  return figures.map((metrics) => ({
    spec,
    usage: { cpuMillicores: 100, memoryBytes: 800, metrics },
  }))
}

const silent = undefined

describe('with a target of 50 % of 200m, and so many wanted, the recommendation', () => {
  for (const [what, current, ready, replicas] of [
    ['is the sum over the target', 2, using(200, 200), 4],
    ['is rounded up', 2, using(200, 210), 5],
    ['is not rounded up for what sums are off by', 3, using(100.1, 100.1, 100.1), 3],
    ['is what there is at the target', 3, using(100, 100, 100), 3],
    ['is what there is a tenth above it', 10, using(110, 110), 10],
    ['is more beyond a tenth', 2, using(111, 111), 3],
    ['is what there is a tenth below it', 20, using(90, 90), 20],
    ['is fewer beyond a tenth', 10, using(...Array<number>(10).fill(79)), 8],
    ['is 0 without any use', 3, using(0, 0, 0), 0],
    ['is not fewer while those that are ready are over the target', 10, using(150, 150), 10],
    ['is not more while those that are ready are under it', 1, using(50, 50, 50), 1],
    ['takes the silent as idle when it grows', 4, using(300, 300, silent, silent), 6],
    ['stays when the silent as idle would bring it below', 4, using(130, 130, silent), 4],
    ['takes the silent as at the target when it shrinks', 4, using(20, 20, silent, silent), 3],
    [
      'stays when the silent keep the mean near the target',
      10,
      using(60, ...Array<number>(9).fill(100)),
      10,
    ],
    ['is none when all are silent', 3, using(silent, silent, silent), undefined],
    ['is none when none is ready', 3, [], undefined],
  ] as [string, number, ReadyReplica[], number | undefined][]) {
    it(what, () => {
      assert.equal(recommendReplicas(following(cpu), current, ready).replicas, replicas)
    })
  }
})

describe('of several metrics', () => {
  it('the one that asks for most decides, and is named', () => {
    const ready = telling({ queue: 40 }, { queue: 40 })
    const { replicas, message, readings } = recommendReplicas(
      following(cpu, queue, memory),
      2,
      ready,
    )
    assert.equal(replicas, 8)
    assert.equal(message, 'queue is 40 of 10 wanted, the mean of 2 of 2 ready')
    assert.deepEqual(readings, [
      { name: 'cpu', value: 50, target: 50, replicas: 2 },
      { name: 'queue', value: 40, target: 10, replicas: 2 },
      { name: 'memory', value: 80, target: 80, replicas: 2 },
    ])
  })

  it('one that nobody tells keeps the number from shrinking, not from growing, and is named', () => {
    const idle = telling({}, {}).map((one) => ({
      ...one,
      usage: { ...one.usage!, cpuMillicores: 1 },
    }))
    const shrinking = recommendReplicas(following(cpu, queue), 2, idle)
    assert.equal(shrinking.replicas, 2)
    assert.equal(
      shrinking.message,
      'cpu is 0.5 % of 50 % wanted, the mean of 2 of 2 ready; no ready replica tells queue',
    )
    const busy = telling({}, {}).map((one) => ({
      ...one,
      usage: { ...one.usage!, cpuMillicores: 900 },
    }))
    assert.equal(recommendReplicas(following(cpu, queue), 2, busy).replicas, 18)
  })

  it('none that is told says what is missing', () => {
    const { message, replicas } = recommendReplicas(following(queue), 2, telling({}, {}))
    assert.equal(replicas, undefined)
    assert.equal(message, 'no ready replica tells queue')
    const { message: none } = recommendReplicas(following(cpu, queue), 2, [])
    assert.equal(none, 'no replica is ready to tell cpu, queue')
  })
})

it('each replica is measured against its own request', () => {
  const larger = create(WorkloadSpecSchema, { resources: { requests: { cpuMillicores: 400 } } })
  const usage = { cpuMillicores: 200, memoryBytes: 0, metrics: {} }
  const { readings } = recommendReplicas(following(cpu), 2, [
    { spec, usage },
    { spec: larger, usage },
    { spec: create(WorkloadSpecSchema), usage },
  ])
  assert.deepEqual(readings, [{ name: 'cpu', value: 75, target: 50, replicas: 2 }])
})

it('an absurd figure asks for a bounded number', () => {
  const { replicas } = recommendReplicas(following(queue), 2, telling({ queue: 1e300 }))
  assert.equal(replicas, 1_000_000)
  assert.equal(recommendReplicas(following(queue), 2, telling({ queue: -5 })).replicas, 0)
})

it('never shrinks for what is not known, nor grows for it', () => {
  const reading = fc.option(fc.integer({ min: 0, max: 1_000 }), { nil: undefined })
  const current = fc.integer({ min: 1, max: 50 })
  fc.assert(
    fc.property(current, fc.array(reading, { maxLength: 30 }), (wanted, uses) => {
      const known = recommendReplicas(following(cpu), wanted, using(...uses)).replicas ?? wanted
      // Had the silent ones told the worst for each direction, no less, and no more, would be asked for.
      const asIdle = using(...uses.map((use) => use ?? 0))
      const asBusy = using(...uses.map((use) => use ?? 1_000))
      const least = recommendReplicas(following(cpu), wanted, asIdle).replicas ?? wanted
      const most = recommendReplicas(following(cpu), wanted, asBusy).replicas ?? wanted
      assert.ok(least <= known && known <= most, `${least} <= ${known} <= ${most}`)
    }),
  )
})
