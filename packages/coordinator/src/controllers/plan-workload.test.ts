import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ReplicaState,
  RolloutStrategyKind,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { RolloutWorld, say } from '../testing/rollout-world.ts'
import { minAvailableOf, planFromTally, planWorkload, type WorkloadPlan } from './plan-workload.ts'
import { stopping } from './replica-records.ts'
import { rolloutFacts } from './rollout-facts.ts'
import { stepRollout } from './step-rollout.ts'
import { tallyOf } from './workload-tally.ts'

type Rollout = NonNullable<NonNullable<NonNullable<WorkloadRecord['workload']>['spec']>['rollout']>
type RolloutInit = Partial<Omit<Rollout, '$typeName' | '$unknown'>>

function wanting(
  replicas: number,
  rollout: RolloutInit = {},
  rest: { revision?: bigint; deletedAtMs?: bigint } = {},
): WorkloadRecord {
  return workloadRecord({
    ...rest,
    spec: { replicas, rollout: { strategy: RolloutStrategyKind.ROLLING_UPDATE, ...rollout } },
  })
}

/** Deleted, and its replicas to be killed at once. */
function inHaste(): WorkloadRecord {
  return { ...wanting(2, {}, { deletedAtMs: 1n }), deleteGraceMs: 0n }
}

const ready = (id: string, facts = {}) => readyReplica(id, 'node-a', facts)
const starting = (id: string, facts: { status?: object } = {}) =>
  replicaRecord(id, {
    ...facts,
    status: { state: ReplicaState.STARTING, nodeId: 'node-a', ...facts.status },
  })
const waiting = (id: string, facts = {}) => replicaRecord(id, facts)
const stuck = (id: string, facts: { status?: object } = {}) =>
  replicaRecord(id, {
    ...facts,
    status: { pendingReasons: [{ reason: 'not enough memory', nodeCount: 1 }], ...facts.status },
  })
const lost = (id: string) => ready(id, { status: { state: ReplicaState.LOST, ready: false } })
const leaving = (id: string) => ready(id, { replaceWanted: true, replaceReason: 'drained' })
const rev2 = { status: { revision: 2n } }

/** After the step of the rollout that goes before. */
function planned(workload: WorkloadRecord, replicas: ReplicaRecord[]): WorkloadPlan {
  const nowMs = 1_000_000
  const facts = rolloutFacts(workload, replicas, nowMs)
  const revisionOf = () => undefined
  const sight = { facts, nowMs, quietMs: 0, replicas: () => replicas, revisionOf }
  return planWorkload(stepRollout(workload, sight).record, replicas, nowMs)
}

const { ROLLING_UPDATE, RECREATE, BLUE_GREEN } = RolloutStrategyKind
const update = { revision: 2n }
const cases: readonly [string, WorkloadRecord, ReplicaRecord[], string][] = [
  ['makes what is missing', wanting(2), [], '+, +'],
  ['leaves what is enough', wanting(2), [ready('a'), starting('b')], ''],
  ['stops the least useful of too many', wanting(1), [starting('a'), ready('b')], '-a scaled'],
  ['forgets what never had a place', wanting(1), [waiting('a'), ready('b')], 'xa'],
  ['scales to nothing', wanting(0), [ready('a'), waiting('b')], '-a scaled, xb'],
  ['replaces a lost one', wanting(1), [lost('a')], '+a'],
  ['replaces a lost one once', wanting(1), [lost('a'), waiting('b')], ''],
  [
    'does not count what is being stopped',
    wanting(1),
    [stopping(ready('a'), 'updated', undefined)],
    '+',
  ],
  [
    'keeps a replica that ended by itself',
    wanting(1),
    [ready('a', { status: { state: ReplicaState.STOPPED, ready: false } })],
    '',
  ],
  ['surges before it stops', wanting(2, {}, update), [ready('a'), ready('b')], '+'],
  [
    'stops an old one for a ready new one',
    wanting(2, {}, update),
    [ready('a'), ready('b'), ready('c', rev2)],
    '-b updated',
  ],
  ['waits for the new one', wanting(1, {}, update), [ready('a'), starting('b', rev2)], ''],
  [
    'stops old ones that are not ready at once',
    wanting(2, {}, update),
    [ready('a'), starting('b')],
    '+, -b updated',
  ],
  [
    'gives an old one up when the new one finds no room and the user allows it',
    wanting(3, {}, update),
    [ready('a'), ready('b'), ready('c'), stuck('d', rev2)],
    '-c updated',
  ],
  [
    'never gives up the only one for want of room',
    wanting(1, {}, update),
    [ready('a'), stuck('b', rev2)],
    '',
  ],
  [
    'without surge stops first',
    wanting(3, { maxUnavailable: 1 }, update),
    [ready('a'), ready('b'), ready('c')],
    '-c updated',
  ],
  ['replaces what is drained before it stops it', wanting(2), [leaving('a'), ready('b')], '+a'],
  [
    'stops what is drained once its replacement is ready',
    wanting(2),
    [leaving('a'), ready('b'), ready('c', { status: { replaces: 'a' } })],
    '-a replaced',
  ],
  [
    'pauses after the newest became ready',
    wanting(2, { pauseDurationMs: 5_000n }, update),
    [ready('a'), ready('b'), ready('c', { status: { revision: 2n, readyAtMs: 998_000n } })],
    'wake 1003000',
  ],
  [
    'goes on after the pause',
    wanting(2, { pauseDurationMs: 5_000n }, update),
    [ready('a'), ready('b'), ready('c', { status: { revision: 2n, readyAtMs: 995_000n } })],
    '-b updated',
  ],
  [
    'recreate stops all old ones first',
    wanting(2, { strategy: RECREATE }, update),
    [ready('a'), ready('b')],
    '-a updated, -b updated',
  ],
  [
    'recreate waits until the old ones are gone',
    wanting(1, { strategy: RECREATE }, update),
    [stopping(ready('a'), 'updated', undefined)],
    '',
  ],
  ['recreate then makes the new ones', wanting(2, { strategy: RECREATE }, update), [], '+, +'],
  [
    'blue-green makes all new ones at once',
    wanting(2, { strategy: BLUE_GREEN }, update),
    [ready('a'), ready('b')],
    '+, +',
  ],
  [
    'blue-green keeps all old ones until every new one is ready',
    wanting(2, { strategy: BLUE_GREEN }, update),
    [ready('a'), ready('b'), ready('c', rev2), starting('d', rev2)],
    '',
  ],
  [
    'blue-green then switches',
    wanting(2, { strategy: BLUE_GREEN }, update),
    [ready('a'), ready('b'), ready('c', rev2), ready('d', rev2)],
    '-a updated, -b updated',
  ],
  [
    'a further blue-green update gives up the one that failed',
    wanting(2, { strategy: BLUE_GREEN }, { revision: 3n }),
    [ready('a'), ready('b'), starting('c', rev2), starting('d', rev2)],
    '+, +, -c updated, -d updated',
  ],
  [
    'deletion stops what runs and forgets what does not',
    wanting(2, {}, { deletedAtMs: 1n }),
    [ready('a'), waiting('b'), lost('c')],
    '-a deleted, xb, xc',
  ],
  [
    'deletion waits for what is being stopped',
    wanting(2, {}, { deletedAtMs: 1n }),
    [stopping(ready('a'), 'deleted', undefined)],
    '',
  ],
  [
    'an impatient deletion shortens what is being stopped',
    inHaste(),
    [
      stopping(ready('a'), 'deleted', undefined),
      stopping(ready('b'), 'scaled', 60_000n),
      stopping(ready('c'), 'deleted', 0n),
    ],
    '-a deleted, -b deleted',
  ],
  ['deletion ends', wanting(2, {}, { deletedAtMs: 1n }), [lost('a')], 'xa, finished'],
]

for (const [name, workload, replicas, expected] of cases) {
  test(name, () => {
    assert.equal(say(planned(workload, replicas)), expected)
  })
}

const floors: readonly [number, RolloutInit, number][] = [
  [1, {}, 1],
  [3, {}, 2],
  [0, {}, 0],
  [1, { maxUnavailable: 1 }, 0],
  [5, { maxUnavailable: 2 }, 3],
  [2, { maxUnavailable: 7 }, 0],
  [3, { minAvailable: 0 }, 0],
  [3, { minAvailable: 9 }, 3],
]
for (const [replicas, rollout, expected] of floors) {
  test(`the floor of ${replicas} replicas with ${JSON.stringify(rollout)} is ${expected}`, () => {
    assert.equal(minAvailableOf(wanting(replicas, rollout)), expected)
  })
}

type Step = readonly [
  'plan' | 'place' | 'stick' | 'ready' | 'unready' | 'gone' | 'lose' | 'drain' | 'scale' | 'update',
  number,
]

function take(world: RolloutWorld, [kind, n]: Step): void {
  world.nowMs += 500
  switch (kind) {
    case 'plan':
      return void world.act()
    case 'place':
      return world.place(n)
    case 'stick':
      return world.stick()
    case 'ready':
      return world.becomeReady(n)
    case 'unready':
      return world.becomeUnready(n)
    case 'gone':
      return world.finishStop(n)
    case 'lose':
      return world.loseNode(n)
    case 'drain':
      return world.drain(n)
    case 'scale':
      return world.scale(n % 5)
    case 'update':
      return world.restart()
  }
}

const steps = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>(
      ...(['plan', 'plan', 'plan', 'place', 'place', 'ready', 'ready'] as const),
      ...(['stick', 'unready', 'gone', 'lose', 'drain', 'scale', 'update'] as const),
    ),
    fc.nat(30),
  ),
  { maxLength: 60 },
)
const rollouts = fc.record({
  strategy: fc.constantFrom(ROLLING_UPDATE, RECREATE, BLUE_GREEN),
  maxSurge: fc.nat(2),
  maxUnavailable: fc.nat(2),
  pauseDurationMs: fc.constantFrom(0n, 0n, 3_000n),
})

test('deletion always ends with nothing left', () => {
  fc.assert(
    fc.property(fc.nat(4), rollouts, steps, (replicas, rollout, history) => {
      const world = new RolloutWorld(wanting(replicas, rollout))
      for (const step of history) take(world, step)
      world.workload = { ...world.workload, deletedAtMs: 1n }
      for (let round = 0; round < 50; round++) {
        const { plan } = world.act()
        if (plan.finished) {
          assert.deepEqual(world.all, [])
          return
        }
        world.finishStop(round)
      }
      assert.fail('the workload is never finished')
    }),
    { numRuns: 200 },
  )
})

test('the same records give the same plan in any order', () => {
  fc.assert(
    fc.property(fc.nat(4), rollouts, steps, (replicas, rollout, history) => {
      const world = new RolloutWorld(wanting(replicas, rollout))
      for (const step of history) take(world, step)
      const forwards = planWorkload(world.workload, world.all, world.nowMs)
      const backwards = planWorkload(world.workload, world.all.toReversed(), world.nowMs)
      const stops = (plan: WorkloadPlan) => plan.stop.map((s) => s.replica.status!.id).toSorted()
      assert.deepEqual(stops(forwards), stops(backwards))
      assert.equal(forwards.create.length, backwards.create.length)
    }),
    { numRuns: 200 },
  )
})

test('what the numbers alone tell is the plan that the replicas give', () => {
  const seen = { nothing: 0, create: 0, undecided: 0 }
  fc.assert(
    fc.property(fc.nat(4), rollouts, steps, (replicas, rollout, history) => {
      const world = new RolloutWorld(wanting(replicas, rollout))
      for (const step of history) {
        take(world, step)
        const brief = planFromTally(world.workload, tallyOf(world.all))
        if (brief) assert.deepEqual(brief, planWorkload(world.workload, world.all, world.nowMs))
        seen[!brief ? 'undecided' : brief.create.length > 0 ? 'create' : 'nothing']++
      }
      const deleted = { ...world.workload, deletedAtMs: 1n }
      assert.equal(planFromTally(deleted, tallyOf(world.all)), undefined)
    }),
    { numRuns: 400 },
  )
  for (const count of Object.values(seen)) assert.ok(count > 30, JSON.stringify(seen))
})
