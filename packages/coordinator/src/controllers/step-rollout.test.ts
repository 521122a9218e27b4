import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState, RolloutPhase, RolloutStrategyKind } from '@cloudless/api'
import { createdRecord } from '../api/workload-changes.ts'
import { workloadRecord, type WorkloadFacts } from '../testing/records.ts'
import { RolloutWorld, say } from '../testing/rollout-world.ts'
import { enumName } from '../state/enum-names.ts'
import { withStatus } from './replica-records.ts'
import { rolloutFacts } from './rollout-facts.ts'
import { pauseRollout, promoteRollout, resumeRollout } from './rollout-orders.ts'
import { isServing } from './serving.ts'

type Rollout = NonNullable<NonNullable<WorkloadFacts['spec']>['rollout']>

const { BLUE_GREEN, CANARY, RECREATE } = RolloutStrategyKind
const minuteMs = 60_000

/** Three replicas of revision 1, ready, unless said otherwise. */
function running(rollout: Rollout = {}, replicas = 3): Story {
  const { workload } = workloadRecord({ spec: { replicas, rollout } })
  const story = new Story(new RolloutWorld(createdRecord(workload!, 1_000_000)))
  story.settle()
  story.said()
  return story
}

/** A world, and what was said of it. */
class Story {
  readonly world: RolloutWorld
  #words: string[] = []

  constructor(world: RolloutWorld) {
    this.world = world
  }

  get phase(): string {
    return enumName(RolloutPhase, this.world.workload.rollout!.phase)
  }

  get revision(): bigint {
    return this.world.workload.workload!.revision
  }

  /** How many are live of each revision: "1: 2, 2: 1". */
  get counts(): string {
    const counts = new Map<bigint, number>()
    for (const { status } of this.world.live) {
      counts.set(status!.revision, (counts.get(status!.revision) ?? 0) + 1)
    }
    const sorted = [...counts].sort(([a], [b]) => Number(a - b))
    return sorted.map(([revision, count]) => `${revision}: ${count}`).join(', ')
  }

  /** What was said since it was asked last. */
  said(): string {
    const said = this.#words.join(' ')
    this.#words = []
    return said
  }

  look(afterMs = 0): ReturnType<RolloutWorld['act']> {
    this.world.nowMs += afterMs
    const acted = this.world.act()
    this.#words.push(...acted.step.words.map(({ word }) => word))
    return acted
  }

  /** What waits is placed, and becomes ready where it is allowed to; what stops is gone. */
  round(mayBeReady: (revision: bigint) => boolean = () => true): void {
    this.look()
    for (const _ of this.world.all) this.world.place(0)
    for (const replica of this.world.live) {
      const { ready, nodeId, revision } = replica.status!
      if (ready || nodeId === '' || !mayBeReady(revision)) continue
      const readyAtMs = BigInt(this.world.nowMs)
      this.world.set(withStatus(replica, { ready: true, state: ReplicaState.RUNNING, readyAtMs }))
    }
    for (const _ of this.world.all) this.world.finishStop(0)
    this.look(1_000)
  }

  settle(mayBeReady?: (revision: bigint) => boolean): void {
    for (let n = 0; n < 12; n++) this.round(mayBeReady)
  }
}

test('the first rollout completes when every replica is ready', () => {
  const story = running()
  assert.equal(story.phase, 'COMPLETED')
  assert.equal(story.counts, '1: 3')
})

test('a change replaces every replica, and completes', () => {
  const story = running()
  story.world.restart()
  assert.equal(story.phase, 'PROGRESSING')
  story.settle()
  assert.equal(story.said(), 'completed')
  assert.equal(story.counts, '2: 3')
  assert.equal(story.world.revisions.get(2n)!.outcome, 'completed')
})

test('a revision that never gets ready fails with the replica that hangs, and is taken back', () => {
  const story = running()
  story.world.restart()
  const before = story.world.all.map((replica) => replica.status!.id)
  story.settle((revision) => revision === 1n)
  assert.equal(story.phase, 'PROGRESSING')
  story.look(10 * minuteMs)
  assert.equal(story.said(), 'failed rolled_back')
  assert.equal(story.phase, 'ROLLING_BACK')
  assert.equal(story.revision, 1n)
  assert.match(
    story.world.workload.rollout!.message,
    /^revision 2 failed: r00003 is not ready on node node-\d after 10m\d+s/,
  )
  story.settle()
  assert.equal(story.phase, 'COMPLETED')
  assert.equal(story.world.workload.rollout!.failedRevision, 2n)
  assert.deepEqual(
    story.world.live.map((replica) => replica.status!.id),
    before,
    'what served goes on as it was',
  )
  assert.equal(story.world.revisions.get(2n)!.outcome, 'failed')
  story.world.restart()
  assert.equal(story.revision, 3n, 'a number is used once')
})

test('without auto_rollback it stays failed, what serves is left alone, and resuming tries again', () => {
  const story = running({ autoRollback: false })
  story.world.restart()
  story.settle((revision) => revision === 1n)
  story.look(10 * minuteMs)
  story.settle((revision) => revision === 1n)
  assert.equal(story.phase, 'FAILED')
  assert.equal(story.world.servingCount, 3)
  story.world.order((record) => resumeRollout(record, story.world.nowMs))
  assert.equal(story.phase, 'PROGRESSING')
  story.settle()
  assert.equal(story.phase, 'COMPLETED')
  assert.equal(story.counts, '2: 3')
})

test('nothing is taken back to a revision that never completed', () => {
  const { workload } = workloadRecord({ spec: { replicas: 1 } })
  const story = new Story(new RolloutWorld(createdRecord(workload!, 1_000_000)))
  story.settle(() => false)
  story.world.restart()
  story.settle(() => false)
  story.look(10 * minuteMs)
  assert.equal(story.phase, 'FAILED')
  assert.equal(story.revision, 2n)
})

test('replicas that get ready for a moment again and again make progress once', () => {
  const story = running({ strategy: BLUE_GREEN }, 2)
  story.world.restart()
  story.settle((revision) => revision === 1n)
  const [flapping] = story.world.live.filter((replica) => replica.status!.revision === 2n)
  let minutes = 0
  for (; minutes < 30 && story.revision === 2n; minutes++) {
    story.world.set(withStatus(flapping!, { ready: minutes % 2 === 0 }))
    story.look(minuteMs)
  }
  assert.equal(story.said(), 'failed rolled_back')
  assert.ok(minutes <= 12, `${minutes} minutes`)
})

test('canaries come first, bake, and the rest follows when they have', () => {
  const story = running({ strategy: CANARY, canary: { replicas: 1, bakeMs: 300_000n } }, 4)
  story.world.restart()
  story.settle()
  assert.equal(story.said(), 'baking')
  assert.equal(story.counts, '1: 3, 2: 1')
  const { step } = story.look()
  assert.ok(step.wakeAtMs > story.world.nowMs, 'it looks again when they have baked')
  story.world.nowMs = step.wakeAtMs
  story.settle()
  assert.equal(story.said(), 'promoted completed')
  assert.equal(story.counts, '2: 4')
})

test('without a bake time canaries wait for a person', () => {
  const story = running({ strategy: CANARY, canary: { percent: 50 } }, 4)
  story.world.restart()
  story.settle()
  story.look(24 * 60 * minuteMs)
  assert.equal(story.phase, 'BAKING')
  assert.equal(story.counts, '1: 2, 2: 2')
  story.world.scale(8)
  story.settle()
  assert.equal(story.counts, '1: 4, 2: 4', 'scaling keeps the share')
  const facts = rolloutFacts(story.world.workload, story.world.all, story.world.nowMs)
  story.world.order((record) => promoteRollout(record, facts, story.world.nowMs))
  story.settle()
  assert.equal(story.counts, '2: 8')
})

test('canaries that fail are the only ones that are replaced', () => {
  const story = running({ strategy: CANARY, canary: { replicas: 1 } }, 4)
  const before = story.world.all.map((replica) => replica.status!.id)
  story.world.restart()
  story.settle((revision) => revision === 1n)
  story.look(10 * minuteMs)
  story.settle()
  assert.equal(story.counts, '1: 4')
  const kept = story.world.live.filter((replica) => before.includes(replica.status!.id))
  assert.equal(kept.length, 4)
})

test('a canary that crashes every other minute while it bakes fails', () => {
  const story = running({ strategy: CANARY, canary: { replicas: 1 } }, 3)
  story.world.restart()
  story.settle()
  assert.equal(story.phase, 'BAKING')
  for (let n = 0; n < 30 && story.revision === 2n; n++) {
    const canary = story.world.live.find((replica) => replica.status!.revision === 2n)!
    story.world.set(withStatus(canary, { ready: !canary.status!.ready }))
    story.look(minuteMs)
  }
  assert.match(story.said(), /failed rolled_back$/)
})

test('clients are switched at once, when every new one is ready, and only then do old ones stop', () => {
  const story = running({ strategy: BLUE_GREEN })
  story.world.restart()
  const mayBeReady = (revision: bigint) => revision === 1n
  story.settle(mayBeReady)
  assert.equal(story.counts, '1: 3, 2: 3')
  for (let n = 0; n < 2; n++) story.world.becomeReady(0)
  story.look()
  assert.equal(story.said(), '')
  const serving = (): bigint[] =>
    story.world.live
      .filter((replica) => isServing(replica, story.world.workload.rollout))
      .map((replica) => replica.status!.revision)
  assert.deepEqual(serving(), [1n, 1n, 1n])
  story.world.becomeReady(0)
  const { plan } = story.look()
  assert.equal(story.said(), 'switched')
  assert.deepEqual(serving(), [2n, 2n, 2n])
  assert.equal(plan.stop.length, 3)
  story.settle()
  assert.equal(story.said(), 'completed')
})

test('what was not switched to never takes clients, also when another revision comes', () => {
  const story = running({ strategy: BLUE_GREEN })
  story.world.restart()
  story.settle((revision) => revision === 1n)
  story.world.restart()
  for (let n = 0; n < 3; n++) story.world.becomeReady(0)
  assert.equal(story.world.servingCount, 3)
  story.settle()
  assert.equal(story.counts, '3: 3')
})

test('paused, a lost or drained replica is made up for by one of its own revision', () => {
  const story = running({ maxSurge: 1 }, 4)
  story.world.restart()
  story.round()
  const facts = rolloutFacts(story.world.workload, story.world.all, story.world.nowMs)
  story.world.order((record) => pauseRollout(record, facts))
  story.settle()
  const before = story.counts
  assert.match(before, /^1: \d, 2: \d$/)
  const old = story.world.live.find((replica) => replica.status!.revision === 1n)!
  story.world.set(withStatus(old, { state: ReplicaState.LOST, ready: false }))
  const { plan } = story.look()
  assert.equal(say(plan, story.revision), `+${old.status!.id}@1`)
  story.settle()
  const other = story.world.live.find((replica) => replica.status!.revision === 1n)!
  story.world.set({ ...other, replaceWanted: true, replaceReason: 'drained' })
  story.settle()
  assert.equal(story.world.live.includes(other), false)
  assert.equal(story.counts, before)
  assert.equal(story.phase, 'PAUSED')
  story.world.order((record) => resumeRollout(record, story.world.nowMs))
  story.settle()
  assert.equal(story.counts, '2: 4')
})

test('a pause does not count against the deadline, and what is complete cannot be paused', () => {
  const story = running()
  story.world.restart()
  const facts = rolloutFacts(story.world.workload, story.world.all, story.world.nowMs)
  story.world.order((record) => pauseRollout(record, facts))
  story.look(100 * minuteMs)
  assert.equal(story.phase, 'PAUSED')
  story.world.order((record) => resumeRollout(record, story.world.nowMs))
  story.settle()
  assert.throws(() => pauseRollout(story.world.workload, facts), /cannot pause: .* is over/)
  assert.throws(() => resumeRollout(story.world.workload, 0), /cannot resume: .* is over/)
  assert.throws(() => promoteRollout(story.world.workload, facts, 0), /cannot promote: .* is over/)
})

test('a change that an earlier version began is gone on with', () => {
  const { workload } = workloadRecord({ revision: 7n, spec: { replicas: 2 } })
  const before = { ...workloadRecord(), workload: workload! }
  const story = new Story(new RolloutWorld(before))
  story.settle()
  assert.equal(before.rollout, undefined)
  for (const replica of story.world.live) story.world.set(withStatus(replica, { revision: 6n }))
  story.settle()
  assert.equal(story.said(), 'started completed')
  assert.equal(story.world.workload.rollout!.fromRevision, 6n)
  assert.equal(story.counts, '7: 2')
})

test('min_ready: a new replica counts when it has been ready for so long', () => {
  const story = running({ minReadyMs: 30_000n }, 1)
  story.settle()
  story.look(30_000)
  story.world.restart()
  story.round()
  story.round()
  assert.equal(story.counts, '1: 1, 2: 1')
  const { plan } = story.look()
  assert.ok(plan.wakeAtMs > story.world.nowMs)
  story.world.nowMs = plan.wakeAtMs
  story.round()
  assert.equal(story.counts, '2: 1')
})

test('an awaited replica is there and not ready: it is replaced when its time is over', () => {
  const story = running()
  const [first] = story.world.live
  const lost = withStatus(first!, { state: ReplicaState.LOST, ready: false })
  story.world.set({ ...lost, replaceAtMs: BigInt(story.world.nowMs + 5_000) })
  const { plan } = story.look()
  assert.equal(say(plan), `wake ${story.world.nowMs + 5_000}`)
  assert.equal(say(story.look(5_000).plan), `+${first!.status!.id}`)
})

test('one that is kept while its node is away is not replaced, and holds up no rollout', () => {
  const story = running()
  const [first] = story.world.live
  const lost = withStatus(first!, { state: ReplicaState.LOST, ready: false })
  story.world.set({ ...lost, replaceAtMs: -1n })
  assert.equal(say(story.look(60 * minuteMs).plan), '')
  story.world.restart()
  story.settle()
  assert.equal(story.phase, 'COMPLETED')
  assert.equal(story.counts, '2: 3')
})

test('draining a workload that must not run twice stops first, then starts', () => {
  const story = running({ strategy: RECREATE }, 1)
  const [only] = story.world.live
  story.world.set({ ...only!, replaceWanted: true, replaceReason: 'drained' })
  assert.equal(say(story.look().plan), `-${only!.status!.id} replaced`)
  assert.equal(say(story.look().plan), '')
  story.world.finishStop(0)
  assert.equal(say(story.look().plan), '+')
})

test('what is drained goes when its successor is ready, also where another never is', () => {
  const story = running()
  const [first, second] = story.world.live
  story.world.set(withStatus(second!, { ready: false, reason: 'CrashLoopBackOff' }))
  story.world.set({ ...first!, replaceWanted: true, replaceReason: 'drained' })
  const { plan } = story.look()
  assert.equal(say(plan), `+${first!.status!.id}`)
  for (const _ of story.world.all) story.world.place(0)
  const successor = story.world.live.find((replica) => replica.status!.replaces !== '')!
  story.world.set(withStatus(successor, { ready: true, readyAtMs: 1n }))
  assert.equal(say(story.look().plan), `-${first!.status!.id} replaced`)
})

test('replicas that end as they should count: nothing is taken back because they are over', () => {
  const story = running({}, 2)
  story.world.restart()
  story.settle((revision) => revision === 1n)
  const ended = { state: ReplicaState.STOPPED, ready: false }
  for (const replica of story.world.live) story.world.set(withStatus(replica, ended))
  story.settle()
  story.look(20 * minuteMs)
  for (const replica of story.world.live) story.world.set(withStatus(replica, ended))
  story.settle()
  assert.equal(story.phase, 'COMPLETED')
  assert.equal(story.world.workload.rollout!.failedRevision, 0n)
})
