import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  NodeConditionSchema,
  NodeHistorySchema,
  NodePhase,
  ResourceCapacitySchema,
} from '@cloudless/api'
import { reliabilityParts, reliabilityScore, type ReliabilityInput } from './reliability.ts'

const hour = 3_600_000
const day = 24 * hour
const condition = (type: string) => create(NodeConditionSchema, { type, status: 'True' })
const best: ReliabilityInput = {
  phase: NodePhase.READY,
  enrolledForMs: 8 * day,
  silentForMs: 500,
  heartbeatIntervalMs: 1_000,
  usualGapMs: 1_000,
  history: create(NodeHistorySchema),
  runningReplicas: 3,
  failedReplicas: 0,
  cpuUsedRatio: 0.6,
  memoryUsedRatio: 0.6,
  capacity: create(ResourceCapacitySchema, { cpuMillicores: 4_000, memoryBytes: 1n }),
  conditions: [],
  taintCount: 0,
  hasPublicAddress: true,
}

function remembered(observedDays: number, availableDays: number) {
  return create(NodeHistorySchema, {
    observedMs: observedDays * day,
    availableMs: availableDays * day,
  })
}

const cases: readonly [string, Partial<ReliabilityInput>, number][] = [
  ['the best has all', {}, 1],
  ['an hour’s silence', { silentForMs: hour, enrolledForMs: 2 * hour }, 0.03 + 0.06 + 0.5],
  ['never heard of', { silentForMs: Infinity }, 0.3 * 0.3 + 0.06 + 0.5],
  ['forty seconds', { silentForMs: 40_000, enrolledForMs: 2 * hour }, 0.21 + 0.06 + 0.5],
  ['two intervals', { silentForMs: 1_999 }, 0.3 + 0.16 + 0.5],
  ['half of its replicas failed', { failedReplicas: 3 }, 0.9],
  ['nothing ran on it yet', { runningReplicas: 0 }, 1],
  ['an idle one', { cpuUsedRatio: 0, memoryUsedRatio: 0 }, 0.85 + 0.15 * 0.7],
  ['a full one', { cpuUsedRatio: 1, memoryUsedRatio: 0.96 }, 0.85 + 0.15 * 0.2],
  ['no capacity', { capacity: undefined }, 0.85],
  [
    'memory and disk pressure',
    {
      conditions: [condition('MemoryPressure'), condition('DiskPressure')],
    },
    0.85 + 0.15 * 0.4,
  ],
  ['no network', { conditions: [condition('NetworkUnavailable')] }, 0.85 + 0.15 * 0.5],
  ['draining', { phase: NodePhase.DRAINING }, 0.85 + 0.15 * 0.5],
  ['enrolling', { phase: NodePhase.ENROLLING }, 0.85 + 0.15 * 0.8],
  ['offline', { phase: NodePhase.OFFLINE }, 0.85],
  ['two taints', { taintCount: 2 }, 0.8],
  ['no public address', { hasPublicAddress: false }, 0.9],
  ['late as a rule', { usualGapMs: 1_500 }, 0.96],
  ['away for half of what is remembered', { history: remembered(30, 14) }, 0.7 + 0.3 * (15 / 31)],
  [
    'lost twice a week',
    { history: create(NodeHistorySchema, { losses: 2 / Math.LN2 }) },
    0.3 / (1 + 2 / 7) + 0.55 + 0.15 * 0.8,
  ],
  [
    'cut off twice a week',
    { history: create(NodeHistorySchema, { losses: 2 / Math.LN2, disconnections: 2 / Math.LN2 }) },
    0.3 / (1 + 1 / 7) + 0.55 + 0.15 * 0.9,
  ],
  [
    'a third of its replicas failed, of those that are gone',
    { history: create(NodeHistorySchema, { replicasOk: 5, replicasFailed: 4 }) },
    0.8 + 0.2 * (8 / 12),
  ],
  ['half an hour old', { enrolledForMs: hour / 2 }, 0.15 + 0.7],
  ['a minute old', { enrolledForMs: 60_000 }, 0.85 * 0.8],
]
for (const [name, change, expected] of cases) {
  test(`${name}: ${expected.toFixed(3)}`, () => {
    const score = reliabilityScore({ ...best, ...change })
    assert.ok(Math.abs(score - expected) < 1e-9, `${score}`)
  })
}

test('the score is between 0 and 1, and more trouble is never better', () => {
  const ratio = fc.double({ min: 0, max: 2, noNaN: true })
  const input = fc.record({
    enrolledForMs: fc.nat(10 * day),
    silentForMs: fc.nat(hour),
    failedReplicas: fc.nat(5),
    cpuUsedRatio: ratio,
    memoryUsedRatio: ratio,
    taintCount: fc.nat(15),
  })
  fc.assert(
    fc.property(input, fc.nat(hour), (facts, moreMs) => {
      const one = reliabilityScore({ ...best, ...facts })
      assert.ok(one >= 0 && one <= 1)
      const later = { ...best, ...facts, silentForMs: facts.silentForMs + moreMs }
      assert.ok(reliabilityScore(later) <= one)
      const worse = { ...best, ...facts, failedReplicas: facts.failedReplicas + 1 }
      assert.ok(reliabilityScore(worse) <= one)
    }),
  )
})

test('the score has a word, and its parts add up to it', () => {
  const words = [
    [{}, 'excellent'],
    [{ hasPublicAddress: false }, 'excellent'],
    [{ taintCount: 2 }, 'good'],
    [{ taintCount: 3 }, 'fair'],
    [{ taintCount: 5 }, 'poor'],
    [{ taintCount: 7 }, 'bad'],
  ] as const
  for (const [change, word] of words) {
    const input = { ...best, ...change }
    const parts = reliabilityParts(input)
    assert.equal(parts.band, word)
    const { uptime, response, success, capacity, stability, penalty, youthFactor } = parts
    const sum = 0.3 * uptime + 0.2 * response + 0.2 * success + 0.15 * (capacity + stability)
    assert.ok(Math.abs((sum - penalty) * youthFactor - reliabilityScore(input)) < 1e-6)
  }
})
