import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { AutoscalingSchema, RolloutStrategySchema } from '@cloudless/api'
import { FakeClock } from '../testing/fake-clock.ts'
import { growthPeriodMs, planScale } from './plan-scale.ts'
import { beginHistory } from './scale-history.ts'

const atOnce = create(AutoscalingSchema, {
  minReplicas: 2,
  maxReplicas: 40,
  scaleUpStabilizationMs: 0n,
  scaleDownStabilizationMs: 0n,
})

const nothingKnown = (current: number) => beginHistory([], current, new FakeClock())

describe('with 2 to 40 and no windows', () => {
  for (const [what, current, asked, replicas, reason] of [
    ['follows what is asked for', 5, 7, 7, ''],
    ['shrinks at once', 30, 3, 3, ''],
    ['stays when nothing is known', 5, undefined, 5, ''],
    ['keeps the fewest', 5, 0, 2, '0 are asked for, and at least 2 wanted'],
    ['keeps the most', 30, 90, 40, '90 are asked for, and at most 40 allowed'],
    ['returns to the most', 50, 45, 40, '45 are asked for, and at most 40 allowed'],
    ['returns to the fewest', 1, undefined, 2, '1 are asked for, and at least 2 wanted'],
    ['adds at most four to a few', 2, 30, 6, 'it grows by no more than a doubling at a time'],
    ['at most doubles many', 10, 30, 20, 'it grows by no more than a doubling at a time'],
  ] as [string, number, number | undefined, number, string][]) {
    it(what, () => {
      const plan = planScale(
        { autoscaling: atOnce },
        { asked, current },
        nothingKnown(current),
        20_000,
      )
      assert.equal(plan.replicas, replicas)
      assert.equal(plan.reason, reason)
    })
  }

  it('keeps what the rollout keeps available, and no more than the most', () => {
    for (const [minAvailable, replicas] of [
      [1, 2],
      [5, 5],
      [50, 40],
    ] as const) {
      const spec = {
        autoscaling: atOnce,
        rollout: create(RolloutStrategySchema, { minAvailable }),
      }
      const plan = planScale(spec, { asked: 1, current: 40 }, nothingKnown(40), 20_000)
      assert.equal(plan.replicas, replicas)
    }
  })

  it('grows once in a while, and says when the next time is', () => {
    const first = planScale(
      { autoscaling: atOnce },
      { asked: 40, current: 4 },
      nothingKnown(4),
      1_000,
    )
    assert.equal(first.replicas, 8)
    assert.equal(first.againAfterMs, growthPeriodMs)
    const early = planScale(
      { autoscaling: atOnce },
      { asked: 40, current: 8 },
      first.history,
      5_000,
    )
    assert.equal(early.replicas, 8)
    assert.equal(early.againAfterMs, growthPeriodMs - 4_000)
    const next = planScale(
      { autoscaling: atOnce },
      { asked: 40, current: 8 },
      early.history,
      1_000 + growthPeriodMs,
    )
    assert.equal(next.replicas, 16)
  })

  it('shrinks although it has just grown', () => {
    const grown = planScale(
      { autoscaling: atOnce },
      { asked: 8, current: 4 },
      nothingKnown(4),
      1_000,
    )
    assert.equal(
      planScale({ autoscaling: atOnce }, { asked: 3, current: 8 }, grown.history, 2_000).replicas,
      3,
    )
  })
})

it('says which window holds it back', () => {
  const slow = create(AutoscalingSchema, {
    ...atOnce,
    scaleUpStabilizationMs: 60_000n,
    scaleDownStabilizationMs: 300_000n,
  })
  const fewer = planScale({ autoscaling: slow }, { asked: 3, current: 9 }, nothingKnown(9), 10_000)
  assert.equal(fewer.replicas, 9)
  assert.equal(fewer.reason, '3 are asked for: it shrinks when no more have been for 5m')
  const more = planScale({ autoscaling: slow }, { asked: 12, current: 9 }, nothingKnown(9), 10_000)
  assert.equal(more.replicas, 9)
  assert.equal(more.reason, '12 are asked for: it grows when they have been for 1m')
})

it('takes what is not known for asking for no change', () => {
  const slow = create(AutoscalingSchema, { ...atOnce, scaleDownStabilizationMs: 300_000n })
  let plan = planScale({ autoscaling: slow }, { asked: 3, current: 9 }, nothingKnown(9), 10_000)
  plan = planScale({ autoscaling: slow }, { asked: undefined, current: 9 }, plan.history, 250_000)
  plan = planScale({ autoscaling: slow }, { asked: 3, current: 9 }, plan.history, 500_000)
  assert.equal(plan.replicas, 9)
  assert.equal(
    planScale({ autoscaling: slow }, { asked: 3, current: 9 }, plan.history, 550_000).replicas,
    3,
  )
})
