import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  ReplicaState,
  RolloutPhase,
  RolloutStatusSchema,
  RolloutStrategyKind,
  RolloutStrategySchema,
  WorkloadType,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { planRebalance, type RebalancePlan } from './plan-rebalance.ts'
import { stopping } from './replica-records.ts'

const movedAtMs = 1_000_000
const spec = { replicas: 2, rebalance: { enabled: true, maxMoving: 1, intervalMs: 30_000n } }
const web = (changes: object = {}, rest: Partial<WorkloadRecord> = {}): WorkloadRecord => ({
  ...workloadRecord({ spec: { ...spec, ...changes } }),
  lastRebalancedAtMs: BigInt(movedAtMs),
  ...rest,
})
const rolling = (phase: RolloutPhase) =>
  web({}, { rollout: create(RolloutStatusSchema, { phase }) })
const recreate = RolloutStrategyKind.RECREATE
const withRollout = (rollout: MessageInitShape<typeof RolloutStrategySchema>) =>
  web({ rollout: create(RolloutStrategySchema, rollout) })
const two = web({ rebalance: { ...spec.rebalance, maxMoving: 2 } })

const a = readyReplica('a', 'node-a')
const b = readyReplica('b', 'node-a')
const moving = readyReplica('a', 'node-a', { replaceWanted: true, replaceReason: 'rebalanced' })
const drained = readyReplica('a', 'node-a', { replaceWanted: true, replaceReason: 'drained' })
const lost = readyReplica('a', 'node-a', { status: { state: ReplicaState.LOST, ready: false } })
const starting = replicaRecord('c', { status: { nodeId: 'node-b', replaces: 'a' } })
const waiting = replicaRecord('c', { status: { replaces: 'a' } })
const refused = replicaRecord('c', {
  status: { replaces: 'a', pendingReasons: [{ reason: 'not enough memory', nodeCount: 2 }] },
})
const arrived = readyReplica('c', 'node-b', { status: { replaces: 'a' } })
const outdated = readyReplica('b', 'node-a', { status: { revision: 7n } })

function say(plan: RebalancePlan): string {
  if (plan.kind === 'take-back') return `keep ${plan.replicas.map((r) => r.status!.id).join()}`
  if (plan.kind === 'rest')
    return plan.wakeAtMs === 0 ? 'rest' : `rest until ${plan.wakeAtMs - movedAtMs}`
  return `move ${plan.count} of ${plan.candidates.map((r) => r.status!.id).join()}`
}

const later = 31_000
const cases: readonly [string, WorkloadRecord | undefined, ReplicaRecord[], number, string][] = [
  ['what is settled may be moved', web(), [a, b], later, 'move 1 of a,b'],
  ['not so soon after the last move', web(), [a, b], 29_000, 'rest until 30000'],
  ['not without being asked', web({ rebalance: undefined }), [a, b], later, 'rest'],
  ['nor when it was asked to stop', web({ rebalance: { enabled: false } }), [a, b], later, 'rest'],
  ['not what is recreated', withRollout({ strategy: recreate }), [a, b], later, 'rest'],
  ['not what stops first', withRollout({ maxUnavailable: 1 }), [a, b], later, 'rest'],
  ['but with a surge', withRollout({ maxSurge: 1 }), [a, b], later, 'move 1 of a,b'],
  ['not a job', web({ type: WorkloadType.JOB }), [a, b], later, 'rest'],
  ['not what is deleted', web({}, { deletedAtMs: 1n }), [a, b], later, 'rest'],
  ['not during a rollout', rolling(RolloutPhase.PROGRESSING), [a, b], later, 'rest'],
  ['but after it', rolling(RolloutPhase.COMPLETED), [a, b], later, 'move 1 of a,b'],
  ['not while one is missing', web(), [a], later, 'rest'],
  ['not while one is not ready', web(), [b, starting], later, 'rest'],
  ['not while one waits', web(), [b, waiting], later, 'rest'],
  ['not while one is lost', web(), [lost, a, b], later, 'rest'],
  ['not while one is drained', web(), [drained, b, arrived], later, 'rest'],
  ['not while one is outdated', web(), [a, outdated], later, 'rest'],
  [
    'one that is stopping is over',
    web(),
    [stopping(moving, 'x', undefined), b, arrived],
    later,
    'move 1 of b,c',
  ],
  ['one at a time', web(), [moving, b, starting], later, 'rest until 600000'],
  ['or two', two, [moving, b, starting], later, 'move 1 of b,c'],
  ['not while the first has no place', two, [moving, b, waiting], later, 'rest until 600000'],
  ['what finds no place stays', web(), [moving, b, refused], later, 'keep a'],
  ['what is not ready in ten minutes stays', web(), [moving, b, starting], 600_000, 'keep a'],
  ['what has arrived goes on', web(), [moving, b, arrived], 600_000, 'rest until 600000'],
  [
    'what is not to move any more stays',
    web({ rebalance: undefined }),
    [moving, b, starting],
    later,
    'keep a',
  ],
  ['also when its workload is gone', undefined, [moving], later, 'keep a'],
]
for (const [property, workload, replicas, sinceMs, expected] of cases) {
  test(property, () => {
    const now = { nowMs: movedAtMs + sinceMs, isCalm: true }
    assert.equal(say(planRebalance(workload, replicas, now)), expected)
  })
}

test('while a node is emptied or lost nothing moves, and what has no place yet stays', () => {
  const now = { nowMs: movedAtMs + later, isCalm: false }
  assert.equal(say(planRebalance(web(), [a, b], now)), 'rest')
  assert.equal(say(planRebalance(web(), [moving, b, waiting], now)), 'keep a')
  assert.equal(say(planRebalance(web(), [moving, b, starting], now)), 'rest until 600000')
})
