import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NodePhase, type NodeRecord } from '@cloudless/api'
import { nodeRecord, type NodeFacts } from '../testing/records.ts'
import {
  availabilityOf,
  historyUntil,
  historyWithLoss,
  historyWithOutcomes,
  historyWithReturn,
  lossesPerWeekOf,
} from './node-history.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const { READY, OFFLINE, CORDONED, ENROLLING } = NodePhase
const near = (actual: number, expected: number, within = 1e-6): void =>
  assert.ok(
    Math.abs(actual - expected) <= within * Math.max(1, expected),
    `${actual}, not ${expected}`,
  )

/** The record as it is when the phase has lasted until then. */
function lasting(
  record: NodeRecord,
  phase: NodePhase,
  nowMs: number,
  watchedSinceMs = 0,
): NodeRecord {
  const node = { ...record.node!, status: { ...record.node!.status!, phase } }
  const history = historyUntil({ ...record, node }, { nowMs, watchedSinceMs })
  return { ...record, node, history }
}

const begun = (facts: NodeFacts = {}): NodeRecord => lasting(nodeRecord('node-a', facts), READY, 0)

const cases: readonly [string, NodeRecord, number][] = [
  ['who was always there was there all the time', lasting(begun(), READY, 30 * dayMs), 1],
  ['an hour away of a new node is no verdict', lasting(begun(), OFFLINE, hourMs), 24 / 25],
  [
    'a day away of two counts for what it is',
    lasting(lasting(begun(), READY, dayMs), OFFLINE, 2 * dayMs),
    0.65,
  ],
  [
    'what is long ago counts less',
    lasting(lasting(begun(), OFFLINE, dayMs), READY, 40 * dayMs),
    0.99,
  ],
  ['time before it took part is not counted', lasting(begun(), ENROLLING, dayMs), 1],
  [
    'while it is cordoned its absence is nobody’s business',
    lasting(begun({ node: { unschedulable: true } }), OFFLINE, dayMs),
    1,
  ],
  ['while it is drained as well', lasting(begun({ drainStartedAtMs: 1n }), OFFLINE, dayMs), 1],
  ['time in which we were away is not its absence', lasting(begun(), OFFLINE, dayMs, dayMs), 1],
]
for (const [name, record, expected] of cases) {
  test(name, () => near(availabilityOf(record.history!), expected, 0.02))
}

test('a node that is cordoned and there is there', () => {
  const { history } = lasting(begun({ node: { unschedulable: true } }), CORDONED, dayMs)
  assert.ok(history!.observedMs > 0.9 * dayMs && history!.observedMs === history!.availableMs)
})

test('remembering in steps is the same as remembering at once', () => {
  const steps = fc.array(fc.integer({ min: 1, max: 3 * dayMs }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(steps, fc.constantFrom(READY, OFFLINE), fc.nat(5 * dayMs), (gaps, phase, since) => {
      let record = begun()
      let nowMs = 0
      for (const gapMs of gaps) record = lasting(record, phase, (nowMs += gapMs), since)
      const once = lasting(begun(), phase, nowMs, since)
      near(record.history!.observedMs, once.history!.observedMs)
      near(record.history!.availableMs, once.history!.availableMs)
    }),
  )
})

test('losses fade by half in a week, and one of each week is one a week in the end', () => {
  let record = begun()
  for (let week = 1; week <= 20; week++) {
    const nowMs = week * 7 * dayMs
    const history = historyWithLoss(record, { nowMs, watchedSinceMs: 0 })
    record = { ...record, history }
  }
  const midweek = historyUntil(record, { nowMs: 20.5 * 7 * dayMs, watchedSinceMs: 0 })
  near(lossesPerWeekOf(midweek), 1, 0.05)
  const forgiven = historyUntil(record, { nowMs: 60 * 7 * dayMs, watchedSinceMs: 0 })
  near(lossesPerWeekOf(forgiven), 0, 1e-6)
})

test('a loss that turns out to have been a cut link counts half; one on return only', () => {
  const lost = {
    ...begun(),
    lostAtMs: 1_000n,
    history: historyWithLoss(begun(), { nowMs: 1_000, watchedSinceMs: 0 }),
  }
  const offline = lasting(lost, OFFLINE, 1_500)
  const watch = { nowMs: 2_000, watchedSinceMs: 0 }
  const back = historyWithReturn(offline, watch, true)
  near(back.disconnections, 1)
  near(historyWithReturn({ ...offline, history: back }, watch, true).disconnections, 1)
  near(historyWithReturn(offline, watch, false).disconnections, 0)
  near(lossesPerWeekOf(back) * 2, lossesPerWeekOf(offline.history!), 1e-3)
  assert.equal(back.lastReturnedAtMs, 2_000n)
})

test('a loss while it is drained or cordoned is not held against it', () => {
  for (const facts of [{ drainStartedAtMs: 1n }, { node: { unschedulable: true } }]) {
    const history = historyWithLoss(begun(facts), { nowMs: 1_000, watchedSinceMs: 0 })
    assert.deepEqual([history.losses, history.lastLostAtMs], [0, 0n])
  }
})

test('how replicas fared is added up', () => {
  const history = historyWithOutcomes(begun().history!, { ok: 3, failed: 1 })
  assert.deepEqual([history.replicasOk, history.replicasFailed], [3, 1])
})

test('a clock that jumps back forgets nothing', () => {
  const record = lasting(begun(), READY, dayMs)
  const { observedMs, asOfMs } = historyUntil(record, { nowMs: hourMs, watchedSinceMs: 0 })
  assert.deepEqual([observedMs, asOfMs], [record.history!.observedMs, BigInt(dayMs)])
})
