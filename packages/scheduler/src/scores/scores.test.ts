/** The terms of the score, each on its own scale, and how they are added: exact numbers at and beside each boundary. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { explain } from '../explain.ts'
import {
  noResources,
  type NodeView,
  type PlacedReplica,
  type ReplicaKind,
  type Resources,
  type ScoreTerm,
  type ScoreWeights,
  type TermName,
  type TopologySpread,
  type Verdict,
} from '../model.ts'
import { anyHistory } from '../test-arbitraries.ts'
import { TruthfulCluster } from '../test-cluster.ts'
import { aKind, aNode, gibibyte, pendingOf, placed, tableOf } from '../test-views.ts'
import { defaultWeights, normaliseWeights } from './weights.ts'

type Feasible = Extract<Verdict, { kind: 'feasible' }>

function judge(
  kind: Partial<ReplicaKind>,
  node: Partial<NodeView> = {},
  held: readonly PlacedReplica[] = [],
  weights: ScoreWeights = defaultWeights,
): Feasible {
  const [verdict] = explain(tableOf([aNode('a', node)], held), pendingOf('new', aKind(kind)), {
    weights,
  })
  assert.ok(verdict?.kind === 'feasible', JSON.stringify(verdict))
  return verdict
}

function termOf({ terms }: Feasible, name: TermName): ScoreTerm {
  return terms.find((term) => term.name === name)!
}

function assertNear(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}, not ${expected}`)
}

/** Of 4 cores and 8 GiB, in hundredths. */
function percent(cpu: number, memory = cpu): { readonly requests: Resources } {
  const requests = {
    ...noResources,
    cpuMillis: 40 * cpu,
    memoryBytes: (8 * gibibyte * memory) / 100,
  }
  return { requests }
}

/** Of the terms' scales; the most is 100. */
const leastOf: Readonly<Record<TermName, number>> = {
  locality: 0,
  reliability: 0,
  cost: 0,
  utilization: 0,
  network_penalty: 0,
  affinity: -200,
  image: 0,
  device: -100,
}

type Row = readonly [
  property: string,
  expected: number,
  kind: Partial<ReplicaKind>,
  node?: Partial<NodeView>,
  held?: Partial<ReplicaKind>,
]

function check(term: TermName, rows: readonly Row[]): void {
  for (const [property, expected, kind, node, held] of rows) {
    it(`${property} is ${expected}`, () => {
      const replicas = held === undefined ? [] : [placed('held', 'a', held)]
      assertNear(termOf(judge(kind, node, replicas), term).value, expected)
    })
  }
}

describe('locality', () => {
  check('locality', [
    ['without a wish', 70, {}],
    ['in the first region named', 100, { regions: ['home', 'eu'] }],
    ['in the second', 90, { regions: ['eu', 'home'] }],
    ['in the third', 80, { regions: ['eu', 'us', 'home'] }],
    ['in a zone named', 90, { zones: ['zone-b', 'zone-a'] }],
    ['in the second region and a zone named', 100, { regions: ['eu', 'home'], zones: ['zone-a'] }],
    [
      'in the fourth region and a zone named',
      90,
      { regions: ['a', 'b', 'c', 'home'], zones: ['zone-a'] },
    ],
    ['in the thirteenth region', 0, { regions: [...'abcdefghijkl', 'home'] }],
    ['at its best stays', 100, { regions: ['home'], zones: ['zone-a'] }],
  ])
})

describe('reliability', () => {
  check('reliability', [
    ['of a node of 0.8', 90, {}],
    ['of a node never seen to stay', 10, {}, { reliability: 0 }],
    ['of a perfect node stays', 100, {}, { reliability: 1 }],
    ['short of memory', 70, {}, { memoryPressure: true }],
    ['short of disk', 70, {}, { diskPressure: true }],
    ['without network', 50, {}, { networkUnavailable: true }],
    [
      'with every trouble',
      10,
      {},
      { memoryPressure: true, diskPressure: true, networkUnavailable: true },
    ],
    [
      'with every trouble and no history is no less than',
      0,
      {},
      { reliability: 0.1, memoryPressure: true, diskPressure: true, networkUnavailable: true },
    ],
  ])
})

describe('cost', () => {
  const gpus: Partial<NodeView> = { allocatable: { ...aNode('a').allocatable, gpuCount: 1 } }
  check('cost', [
    ['of nothing', 70, percent(0)],
    ['of a crumb', 70, percent(9)],
    ['of a tenth', 100, percent(10)],
    ['of a quarter', 100, percent(25)],
    ['of less than a third', 100, percent(29)],
    ['of three tenths', 80, percent(30)],
    ['of less than half', 80, percent(49)],
    ['of half', 60, percent(50)],
    ['of less than seven tenths', 60, percent(69)],
    ['of seven tenths', 30, percent(70)],
    ['of everything', 30, percent(100)],
    ['is by the mean of CPU and memory', 100, percent(0, 40)],
    ['of leaving a GPU idle', 70, percent(20), gpus],
    ['of using the GPU', 100, { requests: { ...percent(20).requests, gpuCount: 1 } }, gpus],
    ['of leaving a GPU idle, at its least', 0, percent(100), gpus],
    [
      'on a node without CPU',
      0,
      { requests: noResources },
      { allocatable: { ...aNode('a').allocatable, cpuMillis: 0 } },
    ],
  ])
})

describe('utilization', () => {
  check('utilization', [
    ['at the target', 100, percent(65)],
    ['of an empty node', 35, percent(0)],
    ['of a tenth', 45, percent(10)],
    ['beside half', 95, percent(10), {}, percent(50)],
    ['at nine tenths', 75, percent(90)],
    ['above nine tenths', 44, percent(91)],
    ['of a full node', 35, percent(100)],
    ['of CPU alone', 47.5, percent(25, 0), {}],
    ['when it evens out', 82.5, percent(0, 25), {}, percent(50, 0)],
    ['when it widens the gap', 87.5, percent(25, 0), {}, percent(50, 50)],
    ['when memory alone is above nine tenths', 57.5, percent(0, 95), {}, percent(50, 0)],
    [
      'on a node without CPU',
      0,
      { requests: noResources },
      { allocatable: { ...aNode('a').allocatable, cpuMillis: 0 } },
    ],
    [
      'on a node given less than is held there',
      0,
      { requests: noResources },
      { allocatable: { ...aNode('a').allocatable, cpuMillis: 100 } },
      percent(50),
    ],
  ])
})

describe('the network penalty', () => {
  const asks = (bandwidthBps: number): Partial<ReplicaKind> => ({
    requests: { ...noResources, bandwidthBps },
  })
  check('network_penalty', [
    ['of nothing', 0, {}],
    ['without network', 100, {}, { networkUnavailable: true }],
    ['without the public address wished for', 10, { wantsPublicAddress: true }],
    ['with it', 0, { wantsPublicAddress: true }, { hasPublicAddress: true }],
    ['of a missing feature', 30, { networkFeatures: ['ipv6'] }],
    [
      'of one missing of two',
      30,
      { networkFeatures: ['ipv6', 'jumbo'] },
      { networkFeatures: ['jumbo'] },
    ],
    ['of two missing features', 60, { networkFeatures: ['ipv6', 'jumbo'] }],
    ['of four missing features stays', 100, { networkFeatures: ['a', 'b', 'c', 'd'] }],
    ['of bandwidth that is there', 0, asks(1e8)],
    ['of bandwidth beside what is held', 0, asks(5e7), {}, asks(5e7)],
  ])
})

describe('affinity', () => {
  const ssd = { subject: 'node', matchLabels: { disk: 'ssd' }, topologyKey: 'node' } as const
  const onSsd = { labels: { disk: 'ssd' } }
  const discouraged = { key: 'k', value: '', effect: 'PreferNoSchedule' } as const
  const tolerant = { key: 'k', value: '', operator: 'Exists', effect: undefined } as const
  const wish = (weight: number) => ({ ...ssd, required: false, weight })
  check('affinity', [
    ['of nothing', 0, {}],
    ['to what is required', 10, { affinity: [{ ...ssd, required: true, weight: 1 }] }, onSsd],
    ['to what is wished for with all weight', 20, { affinity: [wish(100)] }, onSsd],
    ['to what is wished for with half', 10, { affinity: [wish(50)] }, onSsd],
    ['to what is wished for and not there', 0, { affinity: [wish(100)] }],
    ['against what is shunned with all weight', -30, { antiAffinity: [wish(100)] }, onSsd],
    ['against what is shunned with half', -15, { antiAffinity: [wish(50)] }, onSsd],
    ['against what is shunned and not there', 0, { antiAffinity: [wish(100)] }],
    ['for and against', -10, { affinity: [wish(100)], antiAffinity: [wish(100)] }, onSsd],
    [
      'to more than counts stays',
      100,
      { affinity: Array.from({ length: 8 }, () => wish(100)) },
      onSsd,
    ],
    [
      'against more than counts stays',
      -100,
      { antiAffinity: Array.from({ length: 8 }, () => wish(100)) },
      onSsd,
    ],
    ['on a node that is discouraged', -20, {}, { taints: [discouraged] }],
    [
      'on a node discouraged twice',
      -40,
      {},
      { taints: [discouraged, { ...discouraged, key: 'l' }] },
    ],
    [
      'on a node discouraged beyond measure',
      -100,
      {},
      { taints: Array.from({ length: 9 }, (_, n) => ({ ...discouraged, key: `k${n}` })) },
    ],
    [
      'on a node whose discouragement is tolerated',
      0,
      { tolerations: [tolerant] },
      { taints: [discouraged] },
    ],
  ])

  const spread: TopologySpread = {
    topologyKey: 'zone',
    maxSkew: 1,
    minDomains: 0,
    required: false,
    matchLabels: {},
  }
  for (const [inPlace, maxSkew, expected] of [
    [0, 1, 0],
    [1, 1, -10],
    [3, 1, -15],
    [1, 3, -5],
    [3, 3, -10],
  ] as const) {
    it(`where ${inPlace} are already, to be spread by ${maxSkew} where possible, is ${expected}`, () => {
      const held = Array.from({ length: inPlace }, (_, n) => placed(`web-${n}`, 'a', percent(1)))
      const kind = { ...percent(1), topologySpread: [{ ...spread, maxSkew }] }
      assertNear(termOf(judge(kind, {}, held), 'affinity').value, expected)
    })
  }
})

describe('the device', () => {
  check('device', [
    ['on mains', 0, {}],
    ['on battery', -40, {}, { onBattery: true, batteryPercent: 80 }],
    ['on battery with a fifth left', -40, {}, { onBattery: true, batteryPercent: 20 }],
    ['on battery with less', -80, {}, { onBattery: true, batteryPercent: 19 }],
    ['on battery that says nothing', -40, {}, { onBattery: true }],
    ['on mains with an empty battery', 0, {}, { batteryPercent: 1 }],
    ['with a link paid by volume', -20, {}, { isMetered: true }],
    [
      'on its last battery with a link paid by volume',
      -100,
      {},
      { onBattery: true, batteryPercent: 5, isMetered: true },
    ],
  ])
})

describe('the image', () => {
  check('image', [
    ['that is there', 100, {}, { images: new Set(['docker.io/library/web:1']) }],
    ['that is not', 0, {}],
    ['of another version', 0, {}, { images: new Set(['docker.io/library/web:2']) }],
  ])
})

describe('the score', () => {
  it('is the sum of what its terms add, with their default weights', () => {
    const { score, terms } = judge(percent(20), {
      isMetered: true,
      images: new Set([aKind().image]),
    })
    const weights = terms.map(({ name, weight }) => `${name} ${Number(weight.toFixed(9))}`)
    assert.deepEqual(weights, [
      'locality 0.3',
      'reliability 0.25',
      'cost 0.15',
      'utilization 0.2',
      'network_penalty -0.1',
      'affinity 1',
      'image 0.05',
      'device 0.25',
    ])
    assertNear(score, 0.3 * 0.7 + 0.25 * 0.9 + 0.15 * 1 + 0.2 * 0.55 + 0.05 - 0.25 * 0.2)
  })

  const onlyCost: ScoreWeights = {
    locality: 0,
    reliability: 0,
    cost: 7,
    utilization: 0,
    networkPenalty: 0,
  }
  it('follows the weights of the cluster', () => {
    assertNear(judge(percent(30), {}, [], onlyCost).score, 0.8)
  })
  it('follows the weights of the workload before those of the cluster', () => {
    const onlyLocality = { ...onlyCost, cost: 0, locality: 1 }
    assertNear(judge({ ...percent(30), weights: onlyLocality }, {}, [], onlyCost).score, 0.7)
  })
  it('depends on the proportions of the weights alone', () => {
    const tenfold = { locality: 3, reliability: 2.5, cost: 1.5, utilization: 2, networkPenalty: 1 }
    assertNear(judge({}, {}, [], tenfold).score, judge({}).score)
    assertNear(
      Object.values(normaliseWeights(tenfold)).reduce((sum, weight) => sum + weight),
      1,
    )
  })

  it('is cut to 0 to 1', () => {
    const onSsd = {
      subject: 'node',
      matchLabels: { disk: 'ssd' },
      topologyKey: 'node',
      required: false,
      weight: 100,
    } as const
    const node = { labels: { disk: 'ssd' } }
    assert.equal(judge({ affinity: Array.from({ length: 5 }, () => onSsd) }, node).score, 1)
    assert.equal(judge({ antiAffinity: Array.from({ length: 5 }, () => onSsd) }, node).score, 0)
  })

  it('is what its terms add up to, whatever the cluster', () => {
    fc.assert(
      fc.property(anyHistory, ({ changes, kinds }) => {
        const { table } = changes.reduce(
          (cluster, change) => (cluster.apply(change), cluster),
          new TruthfulCluster(),
        )
        for (const kind of kinds) {
          for (const verdict of explain(table, pendingOf('new', kind))) {
            if (verdict.kind === 'rejected') continue
            const { score, terms } = verdict
            const sum = terms.reduce((sum, { contribution }) => sum + contribution, 0)
            assertNear(score, Math.min(1, Math.max(0, sum)))
            for (const { name, value, weight, contribution } of terms) {
              assertNear(contribution, (value / 100) * weight)
              assert.ok(value <= 100.0001 && value >= leastOf[name], `${name} ${value}`)
            }
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})
