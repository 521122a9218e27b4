/**
 * Random histories of one service, for every strategy: replicas get ready, fail, are lost and come back, are marked to be
 * replaced or stopped by others; people scale, change, pause, resume, promote and undo; time passes. The floor is checked
 * with every look of the controller, and in the end, when all is well, the service must be as its spec says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RolloutPhase, RolloutStrategyKind } from '@cloudless/api'
import { createdRecord } from '../api/workload-changes.ts'
import { workloadRecord } from '../testing/records.ts'
import { RolloutWorld, say } from '../testing/rollout-world.ts'
import { rolloutFacts } from './rollout-facts.ts'
import { pauseRollout, promoteRollout, resumeRollout } from './rollout-orders.ts'
import { rolloutOf, strategyOf } from './rollout-quota.ts'
import { takesClients } from './serving.ts'

type Kind = (typeof kinds)[number]

/** Those that make things go on come up more often. */
const kinds = [
  ...(['look', 'look', 'look', 'look', 'place', 'place', 'ready', 'ready', 'gone'] as const),
  ...(['stick', 'unready', 'lose', 'lose later', 'lose for long', 'return', 'drain'] as const),
  ...(['uncordon', 'preempt', 'scale', 'change', 'pause', 'resume', 'promote', 'undo'] as const),
  ...(['wait', 'wait', 'come up', 'come up', 'come up', 'change', 'change'] as const),
] as const

const histories = fc.array(fc.tuple(fc.constantFrom<Kind>(...kinds), fc.nat(30)), {
  maxLength: 80,
  size: 'max',
})

const specs = fc.record({
  maxSurge: fc.nat(2),
  maxUnavailable: fc.nat(2),
  minAvailable: fc.constantFrom(undefined, undefined, 0, 1, 2, 3),
  pauseDurationMs: fc.constantFrom(0n, 0n, 3_000n),
  minReadyMs: fc.constantFrom(0n, 0n, 4_000n),
  progressDeadlineMs: fc.constantFrom(0n, 30_000n),
  autoRollback: fc.boolean(),
  canary: fc.record({
    replicas: fc.nat(2),
    percent: fc.constantFrom(0, 50),
    bakeMs: fc.constantFrom(0n, 5_000n),
  }),
})

const { ROLLING_UPDATE, RECREATE, BLUE_GREEN, CANARY } = RolloutStrategyKind

for (const [name, strategy] of Object.entries({ ROLLING_UPDATE, RECREATE, BLUE_GREEN, CANARY })) {
  test(`${name}: never below the floor by our own action, and in the end all is as wanted`, () => {
    fc.assert(
      fc.property(fc.nat(5), specs, histories, (replicas, spec, history) => {
        const { minAvailable, ...rest } = spec
        const rollout = { ...rest, strategy, ...(minAvailable !== undefined && { minAvailable }) }
        const { workload } = workloadRecord({ spec: { replicas, rollout } })
        const world = new RolloutWorld(createdRecord(workload!, 1_000_000))
        for (const [kind, n] of history) take(world, kind, n)
        settle(world)
        assertSettled(world)
      }),
      { numRuns: 400 },
    )
  })
}

test('the histories have every word in them', () => {
  const seen = new Map<string, number>()
  for (const strategy of [ROLLING_UPDATE, BLUE_GREEN, CANARY]) {
    fc.assert(
      fc.property(specs, histories, (spec, history) => {
        const { minAvailable: _, ...rollout } = { ...spec, strategy }
        const { workload } = workloadRecord({ spec: { replicas: 3, rollout } })
        const world = new RolloutWorld(createdRecord(workload!, 1_000_000))
        for (const [kind, n] of [['come up', 0], ...history] as const) {
          for (const { word } of take(world, kind, n)) seen.set(word, (seen.get(word) ?? 0) + 1)
        }
      }),
      { numRuns: 300, seed: 7 },
    )
  }
  for (const word of ['completed', 'failed', 'rolled_back', 'baking', 'promoted', 'switched']) {
    assert.ok((seen.get(word) ?? 0) > 2, JSON.stringify([...seen]))
  }
})

type Words = ReturnType<RolloutWorld['act']>['step']['words']

function take(world: RolloutWorld, kind: Kind, n: number): Words {
  world.nowMs += 500
  switch (kind) {
    case 'look':
      return world.act().step.words
    case 'come up':
      return comeUp(world)
    case 'pause':
      order(world, (record) => pauseRollout(record, factsOf(world)))
      break
    case 'resume':
      order(world, (record) => resumeRollout(record, world.nowMs))
      break
    case 'promote':
      order(world, (record) => promoteRollout(record, factsOf(world), world.nowMs))
      break
    default:
      happen(world, kind, n)
  }
  return []
}

function happen(
  world: RolloutWorld,
  kind: Exclude<Kind, 'look' | 'come up' | 'pause' | 'resume' | 'promote'>,
  n: number,
): void {
  const acts: Record<typeof kind, () => void> = {
    place: () => world.place(n),
    stick: () => world.stick(),
    ready: () => world.becomeReady(n),
    unready: () => world.becomeUnready(n),
    gone: () => world.finishStop(n),
    lose: () => world.loseNode(n),
    'lose later': () => world.loseNode(n, BigInt(world.nowMs + 5_000)),
    'lose for long': () => world.loseNode(n, -1n),
    return: () => world.returnNode(n),
    drain: () => world.drain(n),
    uncordon: () => world.uncordon(n),
    preempt: () => world.preempt(n),
    scale: () => world.scale(n % 6),
    change: () => world.restart(),
    undo: () => world.undo(n),
    wait: () => void (world.nowMs += n * 2_000),
  }
  acts[kind]()
}

/** Everything that can get ready does, and what is to stop does. */
function comeUp(world: RolloutWorld): Words {
  const words = [...world.act().step.words]
  for (let round = 0; round < 4; round++) {
    const { size } = world.replicas
    for (let n = 0; n < size; n++) world.place(round)
    for (let n = 0; n < size; n++) world.becomeReady(round)
    for (let n = 0; n < size; n++) world.finishStop(round)
    words.push(...world.act().step.words)
  }
  return words
}

/** A person who orders what cannot be is told so, and nothing is changed. */
function order(world: RolloutWorld, change: Parameters<RolloutWorld['order']>[0]): void {
  try {
    world.order(change)
  } catch (reason) {
    if ((reason as { code?: string }).code !== 'failed_precondition') throw reason
  }
}

function factsOf(world: RolloutWorld) {
  return rolloutFacts(world.workload, world.all, world.nowMs)
}

/** Faults end, every agent does its part, and somebody lets go on what waits for a person. */
function settle(world: RolloutWorld): void {
  for (let n = 0; n < 3; n++) world.returnNode(n)
  const { spec } = world.workload.workload!
  const isRecreate = strategyOf(world.workload) === RECREATE
  if (isRecreate && (spec!.rollout!.minAvailable ?? 0) >= spec!.replicas) {
    // None can be spared, and two must not run at once: what is marked stays for as long as its node may keep it.
    for (let n = 0; n < 3; n++) world.uncordon(n)
  }
  for (let round = 0; round < 300; round++) {
    order(world, (record) => promoteRollout(record, factsOf(world), world.nowMs))
    order(world, (record) => resumeRollout(record, world.nowMs))
    const { plan, step } = world.act()
    const isBusy = world.live.some((r) => !r.status!.ready) || world.all.some((r) => r.stopping)
    const phase = rolloutOf(world.workload)?.phase
    if (say(plan) === '' && !isBusy && phase === RolloutPhase.COMPLETED) {
      assert.deepEqual(step.wakeAtMs, 0)
      return
    }
    comeUp(world)
    world.nowMs += 6_000
  }
  const { plan } = world.act()
  assert.fail(`it does not settle: ${say(plan)} ${JSON.stringify(world.workload, bigints)}`)
}

function assertSettled(world: RolloutWorld): void {
  const { revision, spec } = world.workload.workload!
  const wanted = spec!.replicas
  assert.equal(world.live.length, wanted)
  assert.equal(world.readyCount, wanted)
  for (const replica of world.live) {
    assert.equal(replica.status!.revision, revision)
    assert.equal(replica.replaceWanted, false)
  }
  assert.ok(takesClients(rolloutOf(world.workload), revision))
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
