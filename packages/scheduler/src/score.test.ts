import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { noResources, type NodeView, type PendingReplica, type ScoreTerms } from './model.ts'
import { explain } from './schedule.ts'
import { defaultWeights, normaliseWeights } from './score.ts'
import { aNode, aReplica, gibibyte } from './test-views.ts'

function judge(
  replica: Partial<PendingReplica>,
  node: Partial<NodeView>,
  weights = defaultWeights,
) {
  const [verdict] = explain([aNode('a', node)], aReplica('web-1', replica), { weights })
  assert.ok(verdict?.kind === 'feasible', JSON.stringify(verdict))
  return verdict
}

/** Of 4 cores and 8 GiB. */
const share = (part: number) => ({
  ...noResources,
  cpuMillis: 4_000 * part,
  memoryBytes: 8 * gibibyte * part,
})
const ssd = { subject: 'node', matchLabels: { disk: 'ssd' }, topologyKey: 'node' } as const
const discouraged = { key: 'k', value: '', effect: 'PreferNoSchedule' } as const

describe('a term of the score', () => {
  for (const [property, term, expected, replica, node] of [
    ['locality without a wish', 'locality', 0.7, {}, {}],
    ['locality in the first region', 'locality', 1, { regions: ['home', 'eu'] }, {}],
    ['locality in the third region', 'locality', 0.8, { regions: ['eu', 'us', 'home'] }, {}],
    ['locality in a wanted zone', 'locality', 0.9, { zones: ['zone-a'] }, {}],
    ['locality stays within 1', 'locality', 1, { regions: ['home'], zones: ['zone-a'] }, {}],
    ['reliability of a ready node', 'reliability', 0.9, {}, {}],
    ['reliability stays within 1', 'reliability', 1, {}, { reliability: 1 }],
    [
      'reliability under pressure',
      'reliability',
      0.5,
      {},
      { memoryPressure: true, diskPressure: true },
    ],
    ['reliability without network', 'reliability', 0.5, {}, { networkUnavailable: true }],
    ['cost of a crumb', 'cost', 0.7, { requests: share(0.05) }, {}],
    ['cost of a good fit', 'cost', 1, { requests: share(0.2) }, {}],
    ['cost of a large one', 'cost', 0.8, { requests: share(0.4) }, {}],
    ['cost of a larger one', 'cost', 0.6, { requests: share(0.6) }, {}],
    ['cost of a giant', 'cost', 0.3, { requests: share(0.8) }, {}],
    [
      'cost of a GPU left idle',
      'cost',
      0.7,
      { requests: share(0.2) },
      { allocatable: { ...aNode('a').allocatable, gpuCount: 1 } },
    ],
    ['utilization at its best', 'utilization', 1, { requests: share(0.65) }, {}],
    ['utilization of an empty node', 'utilization', 0.45, { requests: share(0.1) }, {}],
    ['utilization of a crowded node', 'utilization', 0.4, { requests: share(0.95) }, {}],
    [
      'utilization when it evens out',
      'utilization',
      1 - (0.15 + 0.4) / 2 + 0.1,
      { requests: { ...share(0), memoryBytes: 2 * gibibyte } },
      { reserved: { ...share(0), cpuMillis: 2_000 } },
    ],
    ['network penalty of nothing', 'networkPenalty', 0, {}, {}],
    ['network penalty without network', 'networkPenalty', 1, {}, { networkUnavailable: true }],
    ['preference of nothing', 'preference', 0, {}, {}],
    [
      'preference for what is wished for',
      'preference',
      0.1,
      { affinity: [{ ...ssd, required: false, weight: 50 }] },
      { labels: { disk: 'ssd' } },
    ],
    [
      'preference for what is required',
      'preference',
      0.1,
      { affinity: [{ ...ssd, required: true, weight: 1 }] },
      { labels: { disk: 'ssd' } },
    ],
    [
      'preference against what is shunned',
      'preference',
      -0.15,
      { antiAffinity: [{ ...ssd, required: false, weight: 50 }] },
      { labels: { disk: 'ssd' } },
    ],
    ['preference against a discouraging taint', 'preference', -0.2, {}, { taints: [discouraged] }],
    [
      'preference with the taint tolerated',
      'preference',
      0,
      { tolerations: [{ key: 'k', value: '', operator: 'Exists', effect: undefined }] },
      { taints: [discouraged] },
    ],
  ] as [string, keyof ScoreTerms, number, Partial<PendingReplica>, Partial<NodeView>][]) {
    it(`${property} is ${expected.toFixed(2)}`, () => {
      const actual = judge(replica, node).terms[term]
      assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}, not ${expected}`)
    })
  }
})

describe('the score', () => {
  it('is the weighted sum of its terms', () => {
    const { score, terms } = judge({ requests: share(0.2) }, {})
    const sum =
      0.3 * terms.locality +
      0.25 * terms.reliability +
      0.15 * terms.cost +
      0.2 * terms.utilization -
      0.1 * terms.networkPenalty
    assert.ok(Math.abs(score - sum) < 1e-9)
  })

  it('depends on the proportions of the weights alone', () => {
    const tenfold = {
      locality: 3,
      reliability: 2.5,
      cost: 1.5,
      utilization: 2,
      networkPenalty: 1,
    }
    assert.ok(Math.abs(judge({}, {}, tenfold).score - judge({}, {}).score) < 1e-9)
    const weights = Object.values(normaliseWeights(tenfold))
    assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-9)
  })

  it('stays between 0 and 1, whatever the node', () => {
    const part = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(part, part, part, fc.boolean(), (reserved, asked, reliability, trouble) => {
        const node = {
          reserved: share(reserved),
          reliability,
          networkUnavailable: trouble,
          taints: Array.from({ length: 9 }, () => discouraged),
        }
        const [verdict] = explain([aNode('a', node)], aReplica('r', { requests: share(asked) }))
        if (verdict?.kind !== 'feasible') return
        assert.ok(verdict.score >= 0 && verdict.score <= 1)
      }),
    )
  })
})
