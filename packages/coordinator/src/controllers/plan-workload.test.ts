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
import { stopping, withStatus } from './replica-records.ts'
import {
  isLost,
  minAvailableOf,
  planFromTally,
  planWorkload,
  type WorkloadPlan,
} from './plan-workload.ts'
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

/** "+2 replacing a, -b scaled, forget c". */
function say(plan: WorkloadPlan): string {
  return [
    ...plan.create.map(({ replaces }) => (replaces === '' ? '+' : `+${replaces}`)),
    ...plan.stop.map(({ replica, reason }) => `-${replica.status!.id} ${reason}`),
    ...plan.forget.map((replica) => `x${replica.status!.id}`),
    ...(plan.finished ? ['finished'] : []),
    ...(plan.wakeAtMs > 0 ? [`wake ${plan.wakeAtMs}`] : []),
  ].join(', ')
}

const { RECREATE, BLUE_GREEN } = RolloutStrategyKind
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
    assert.equal(say(planWorkload(workload, replicas, 1_000_000)), expected)
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

/**
 * A world in which plans are carried out: agents start and stop, nodes are lost, users change their minds. Every step
 * is one that can happen in any order.
 */
class World {
  workload: WorkloadRecord
  readonly replicas = new Map<string, ReplicaRecord>()
  nowMs = 1_000_000
  #made = 0

  constructor(workload: WorkloadRecord) {
    this.workload = workload
  }

  get all(): ReplicaRecord[] {
    return [...this.replicas.values()]
  }

  get live(): ReplicaRecord[] {
    return this.all.filter((r) => !r.stopping && !isLost(r))
  }

  get readyCount(): number {
    return this.live.filter((r) => r.status!.ready).length
  }

  set(record: ReplicaRecord): void {
    this.replicas.set(record.status!.id, record)
  }

  pick(n: number, among: readonly ReplicaRecord[]): ReplicaRecord | undefined {
    return among[n % Math.max(1, among.length)]
  }

  carryOut(plan: WorkloadPlan): void {
    for (const { replaces } of plan.create) {
      const id = `r${String(this.#made++).padStart(5, '0')}`
      const { revision } = this.workload.workload!
      this.set(
        replicaRecord(id, { status: { revision, replaces, createdAtMs: BigInt(this.nowMs) } }),
      )
    }
    for (const { replica, reason } of plan.stop) this.set(stopping(replica, reason, undefined))
    for (const replica of plan.forget) this.replicas.delete(replica.status!.id)
  }

  place(n: number): void {
    const replica = this.pick(
      n,
      this.live.filter((r) => r.status!.nodeId === ''),
    )
    if (!replica) return
    const nodeId = `node-${n % 3}`
    this.set(withStatus(replica, { nodeId, state: ReplicaState.STARTING, pendingReasons: [] }))
  }

  becomeReady(n: number): void {
    const replica = this.pick(
      n,
      this.live.filter((r) => r.status!.nodeId !== '' && !r.status!.ready),
    )
    if (!replica) return
    const readyAtMs = BigInt(this.nowMs)
    this.set(withStatus(replica, { ready: true, state: ReplicaState.RUNNING, readyAtMs }))
  }

  becomeUnready(n: number): void {
    const replica = this.pick(
      n,
      this.live.filter((r) => r.status!.ready),
    )
    if (replica) this.set(withStatus(replica, { ready: false, readyAtMs: 0n }))
  }

  finishStop(n: number): void {
    const replica = this.pick(
      n,
      this.all.filter((r) => r.stopping),
    )
    if (replica) this.replicas.delete(replica.status!.id)
  }

  loseNode(n: number): void {
    for (const replica of this.all.filter((r) => r.status!.nodeId === `node-${n % 3}`)) {
      if (replica.stopping) this.replicas.delete(replica.status!.id)
      else this.set(withStatus(replica, { state: ReplicaState.LOST, ready: false }))
    }
  }

  drain(n: number): void {
    for (const replica of this.live.filter((r) => r.status!.nodeId === `node-${n % 3}`)) {
      this.set({ ...replica, replaceWanted: true, replaceReason: 'drained' })
    }
  }

  change(spec: { replicas?: number; revision?: bigint }): void {
    const { workload } = this.workload
    const replicas = spec.replicas ?? workload!.spec!.replicas
    this.workload = {
      ...this.workload,
      workload: {
        ...workload!,
        revision: spec.revision ?? workload!.revision,
        spec: { ...workload!.spec!, replicas },
      },
    }
  }
}

type Step = readonly [
  'plan' | 'place' | 'stick' | 'ready' | 'unready' | 'gone' | 'lose' | 'drain' | 'scale' | 'update',
  number,
]

function take(world: World, [kind, n]: Step): void {
  world.nowMs += 500
  switch (kind) {
    case 'plan':
      return planAndCheck(world)
    case 'place':
      return world.place(n)
    case 'stick': {
      const replica = world.live.find((r) => r.status!.nodeId === '')
      if (replica) world.set(stuck(replica.status!.id, { status: replica.status! }))
      return
    }
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
      return world.change({ replicas: n % 5 })
    case 'update':
      return world.change({ revision: world.workload.workload!.revision + 1n })
  }
}

function planAndCheck(world: World): void {
  const { replicas: wanted, rollout } = world.workload.workload!.spec!
  const plan = planWorkload(world.workload, world.all, world.nowMs)
  const readyBefore = world.readyCount
  const liveBefore = world.live.length
  world.carryOut(plan)
  if (rollout!.strategy !== RECREATE) {
    const floor = Math.min(readyBefore, minAvailableOf(world.workload))
    assert.ok(
      world.readyCount >= floor,
      `${readyBefore} ready became ${world.readyCount}, below ${floor}: ${say(plan)}`,
    )
  }
  const surge = rollout!.strategy === BLUE_GREEN ? wanted : Math.max(rollout!.maxSurge, 1)
  if (plan.create.length > 0) {
    assert.ok(
      world.live.length <= Math.max(wanted + surge, liveBefore),
      `${world.live.length} live, ${wanted} wanted, ${surge} surge: ${say(plan)}`,
    )
  }
  const successors = world.all.map((r) => r.status!.replaces).filter((id) => id !== '')
  assert.equal(new Set(successors).size, successors.length, 'one was replaced twice')
}

/** Faults end, every agent does its part: what is then left to do must come to an end. */
function settle(world: World): void {
  for (let round = 0; round < 200; round++) {
    const plan = planWorkload(world.workload, world.all, world.nowMs)
    planAndCheck(world)
    const busy = world.live.some((r) => !r.status!.ready) || world.all.some((r) => r.stopping)
    if (say(plan) === '' && !busy) return
    const { size } = world.replicas
    for (let n = 0; n < size; n++) world.place(round)
    for (let n = 0; n < size; n++) world.becomeReady(round)
    for (let n = 0; n < size; n++) world.finishStop(round)
    world.nowMs += 5_000
  }
  assert.fail(`it does not settle: ${say(planWorkload(world.workload, world.all, world.nowMs))}`)
}

const steps = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>(
      'plan',
      'plan',
      'plan',
      'place',
      'place',
      'ready',
      'ready',
      'stick',
      'unready',
      'gone',
      'lose',
      'drain',
      'scale',
      'update',
    ),
    fc.nat(30),
  ),
  { maxLength: 60 },
)
const rollouts = fc.record({
  strategy: fc.constantFrom(RolloutStrategyKind.ROLLING_UPDATE, RECREATE, BLUE_GREEN),
  maxSurge: fc.nat(2),
  maxUnavailable: fc.nat(2),
  pauseDurationMs: fc.constantFrom(0n, 0n, 3_000n),
})

test('never below the floor, never above the surge, and always comes to the spec', () => {
  fc.assert(
    fc.property(fc.nat(4), rollouts, steps, (replicas, rollout, history) => {
      const world = new World(wanting(replicas, rollout))
      for (const step of history) take(world, step)
      settle(world)
      const { workload } = world.workload
      const wanted = workload!.spec!.replicas
      assert.equal(world.readyCount, wanted)
      assert.equal(world.live.length, wanted)
      for (const replica of world.live) {
        assert.equal(replica.status!.revision, workload!.revision)
        assert.equal(replica.replaceWanted, false)
      }
    }),
    { numRuns: 400 },
  )
})

test('deletion always ends with nothing left', () => {
  fc.assert(
    fc.property(fc.nat(4), rollouts, steps, (replicas, rollout, history) => {
      const world = new World(wanting(replicas, rollout))
      for (const step of history) take(world, step)
      world.workload = { ...world.workload, deletedAtMs: 1n }
      for (let round = 0; round < 50; round++) {
        const plan = planWorkload(world.workload, world.all, world.nowMs)
        world.carryOut(plan)
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
      const world = new World(wanting(replicas, rollout))
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
      const world = new World(wanting(replicas, rollout))
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
