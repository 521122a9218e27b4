import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { AssignmentSchema, ReplicaState, RestartPolicyKind, WorkloadType } from '@cloudless/api'
import fc from 'fast-check'
import { stepReplica } from './replica-machine.ts'
import { observeReplica } from './replica-observation.ts'
import {
  newReplica,
  type ReplicaEffect,
  type ReplicaEvent,
  type ReplicaMachine,
} from './replica-state.ts'

interface Policy {
  readonly policy?: RestartPolicyKind
  readonly maxRetries?: number
  readonly backoffMs?: bigint
}

function assignment(restartPolicy: Policy = {}, probed = false) {
  return create(AssignmentSchema, {
    replicaId: 'web-abcd2345',
    spec: {
      image: 'nginx:1',
      restartPolicy,
      ...(probed ? { readinessProbe: { check: { case: 'tcp', value: { port: 80 } } } } : {}),
    },
  })
}

const readiness = (ready: boolean, message = ''): ReplicaEvent => ({
  kind: 'readiness',
  ready,
  message,
})

/** Plays events through the machine; `at` is the monotonic time, the wall runs alike. */
class Play {
  state: ReplicaMachine
  effects: ReplicaEffect[] = []
  nowMs = 1_000_000

  constructor(state: ReplicaMachine) {
    this.state = state
  }

  send(event: ReplicaEvent): this {
    const now = { monotonicMs: this.nowMs, wallMs: this.nowMs }
    const step = stepReplica(this.state, event, now)
    this.state = step.state
    this.effects.push(...step.effects)
    return this
  }

  run(): this {
    this.send({ kind: 'begin' })
    return this.cameUp()
  }

  cameUp(): this {
    return this.send({ kind: 'pulled' }).send({
      kind: 'started',
      address: '10.244.1.2',
      startedAtMs: this.nowMs,
    })
  }

  exit(exitCode: number, oomKilled = false): this {
    return this.send({ kind: 'exited', exitCode, oomKilled, finishedAtMs: this.nowMs })
  }

  stopDone(exitCode: number): this {
    return this.send({ kind: 'stop-done', exitCode, oomKilled: false, finishedAtMs: this.nowMs })
  }

  pass(durationMs: number): this {
    this.nowMs += durationMs
    return this.send({ kind: 'timer' })
  }

  get waitMs(): number {
    return (this.state.timerAtMs ?? Number.NaN) - this.nowMs
  }

  get kinds(): string[] {
    return this.effects.map((effect) => effect.kind)
  }
}

const play = (policy: Policy = {}, probed = false): Play =>
  new Play(newReplica(assignment(policy, probed)))

describe('a replica on its way up', () => {
  it('pulls, starts and is ready when nothing gates it', () => {
    const replica = play().run()
    assert.deepEqual(replica.kinds, ['pull', 'start'])
    assert.equal(replica.state.stage, 'running')
    assert.equal(replica.state.ready, true)
    assert.equal(observeReplica(replica.state).address, '10.244.1.2')
  })

  it('is not ready before its readiness probe has passed', () => {
    const replica = play({}, true).run()
    assert.equal(replica.state.ready, false)
    assert.equal(replica.send(readiness(true)).state.ready, true)
  })

  it('is adopted without a pull or a start, as ready as it was', () => {
    const replica = play({}, true)
    replica.send({ kind: 'adopt', address: '10.244.1.9', startedAtMs: 999_000, ready: true })
    assert.deepEqual(replica.kinds, [])
    assert.equal(replica.state.stage, 'running')
    assert.equal(replica.state.ready, true)
    assert.equal(replica.state.startedMonotonicMs, 999_000)
  })
})

describe('a pull that fails', () => {
  const table = [
    { code: 'not_found', failures: 1, reason: 'ErrImagePull', waitMs: 1_000 },
    { code: 'not_found', failures: 4, reason: 'ImagePullBackOff', waitMs: 8_000 },
    { code: 'not_found', failures: 30, reason: 'ImagePullBackOff', waitMs: 300_000 },
    { code: 'unavailable', failures: 30, reason: 'ImagePullBackOff', waitMs: 30_000 },
    { code: 'invalid_argument', failures: 1, reason: 'InvalidImage', waitMs: 300_000 },
  ] as const
  for (const { code, failures, reason, waitMs } of table) {
    it(`${code} ${failures} times is ${reason} and waits ${waitMs} ms`, () => {
      const replica = play({ policy: RestartPolicyKind.NEVER }).send({ kind: 'begin' })
      for (let n = 0; n < failures; n++) {
        if (n > 0) replica.pass(300_000)
        replica.send({ kind: 'pull-failed', code, message: 'no such image nginx:1' })
      }
      const seen = observeReplica(replica.state)
      assert.equal(seen.state, ReplicaState.STARTING)
      assert.equal(seen.reason, reason)
      assert.match(seen.message, /no such image/)
      assert.equal(replica.waitMs, waitMs)
      assert.equal(seen.restartCount, 0)
    })
  }

  it('counts from the beginning again once a pull has worked', () => {
    const replica = play().send({ kind: 'begin' })
    replica.send({ kind: 'pull-failed', code: 'not_found', message: 'gone' }).pass(1_000)
    replica.cameUp().exit(1).pass(1_000)
    replica.send({ kind: 'pull-failed', code: 'not_found', message: 'gone' })
    assert.equal(replica.state.reason, 'ErrImagePull')
  })
})

describe('a run that ends', () => {
  const { ALWAYS, ON_FAILURE, NEVER } = RestartPolicyKind
  const table = [
    { policy: ALWAYS, exitCode: 0, stage: 'waiting', reason: 'Completed' },
    { policy: ALWAYS, exitCode: 1, stage: 'waiting', reason: 'Error' },
    { policy: ON_FAILURE, exitCode: 0, stage: 'succeeded', reason: 'Completed' },
    { policy: ON_FAILURE, exitCode: 3, stage: 'waiting', reason: 'Error' },
    { policy: NEVER, exitCode: 0, stage: 'succeeded', reason: 'Completed' },
    { policy: NEVER, exitCode: 3, stage: 'failed', reason: 'Error' },
    { policy: NEVER, exitCode: 137, oomKilled: true, stage: 'failed', reason: 'OOMKilled' },
    { policy: ALWAYS, exitCode: 137, oomKilled: true, stage: 'waiting', reason: 'OOMKilled' },
  ] as const
  for (const { policy, exitCode, stage, reason, ...rest } of table) {
    it(`policy ${policy} with exit code ${exitCode} is ${stage} (${reason})`, () => {
      const oomKilled = 'oomKilled' in rest && rest.oomKilled
      const replica = play({ policy }).run().exit(exitCode, oomKilled)
      assert.equal(replica.state.stage, stage)
      assert.equal(replica.state.reason, reason)
      assert.equal(observeReplica(replica.state).lastExitCode, exitCode)
    })
  }

  it('an attempt of a job that has ended is not started again by hand', () => {
    const attempt = create(AssignmentSchema, {
      replicaId: 'sum-abcd2345',
      spec: { image: 'busybox:1', type: WorkloadType.JOB, restartPolicy: { policy: NEVER } },
    })
    for (const [exitCode, stage] of [
      [0, 'succeeded'],
      [3, 'failed'],
    ] as const) {
      const replica = new Play(newReplica(attempt)).run().exit(exitCode)
      assert.equal(replica.send({ kind: 'restart', graceMs: undefined }).state.stage, stage)
      const service = play({ policy: NEVER }).run().exit(exitCode)
      assert.equal(service.send({ kind: 'restart', graceMs: undefined }).state.stage, 'pulling')
    }
  })

  it('for want of memory says which limit it was', () => {
    const limited = create(AssignmentSchema, {
      replicaId: 'web-abcd2345',
      spec: { image: 'nginx:1', resources: { limits: { memoryBytes: 33_554_432n } } },
    })
    const replica = new Play(newReplica(limited)).run().exit(137, true)
    assert.match(replica.state.message, /more memory than its limit of 32 ?Mi/)
    assert.match(play().run().exit(137, true).state.message, /the machine ran out of memory/)
  })

  it('waits twice as long each time, up to five minutes, and says so', () => {
    const replica = play().run()
    const waits: number[] = []
    for (let n = 0; n < 12; n++) {
      replica.exit(7)
      waits.push(replica.waitMs)
      if (n < 11) replica.pass(replica.waitMs).cameUp()
    }
    assert.deepEqual(waits.slice(0, 5), [1_000, 2_000, 4_000, 8_000, 16_000])
    assert.equal(waits.at(-1), 300_000)
    const seen = observeReplica(replica.state)
    assert.equal(seen.reason, 'CrashLoopBackOff')
    assert.match(
      seen.message,
      /exit code 7 \(12 times in a row\); next start in 5m, at 1970-01-01T/,
    )
    assert.equal(seen.restartCount, 12)
  })

  it('starts from the first wait again after ten stable minutes', () => {
    const replica = play().run().exit(1).pass(1_000).cameUp().exit(1).pass(2_000).cameUp()
    replica.nowMs += 600_000
    replica.exit(1)
    assert.equal(replica.waitMs, 1_000)
    assert.equal(replica.state.reason, 'Error')
  })

  it('gives up after max_retries restarts', () => {
    const replica = play({ maxRetries: 2, backoffMs: 10n }).run()
    replica.exit(1).pass(10).cameUp().exit(1).pass(20).cameUp().exit(1)
    assert.equal(replica.state.stage, 'failed')
    assert.match(replica.state.message, /given up after 2 restarts/)
    assert.equal(replica.state.restartCount, 2)
  })

  it('does not wait for a timer that is not due', () => {
    const replica = play().run().exit(1).pass(999)
    assert.equal(replica.state.stage, 'waiting')
    assert.equal(replica.pass(1).state.stage, 'pulling')
  })
})

describe('a start that fails', () => {
  it('is a crash when the container is at fault', () => {
    const replica = play().send({ kind: 'begin' }).send({ kind: 'pulled' })
    replica.send({ kind: 'start-failed', code: 'failed_precondition', message: 'no such command' })
    assert.equal(replica.state.reason, 'StartError')
    assert.match(replica.state.message, /no such command/)
    assert.equal(replica.state.restartCount, 1)
  })

  it('is not a crash when the runtime is away, and is tried again when it returns', () => {
    const replica = play().send({ kind: 'begin' }).send({ kind: 'pulled' })
    replica.send({ kind: 'start-failed', code: 'unavailable', message: 'containerd is away' })
    assert.equal(replica.state.reason, 'RuntimeUnavailable')
    assert.equal(replica.state.restartCount, 0)
    assert.equal(replica.send({ kind: 'runtime-available' }).state.stage, 'pulling')
  })
})

describe('probes and limits', () => {
  it('a failed liveness probe stops it and starts it again after the wait', () => {
    const replica = play().run()
    replica.send({ kind: 'probe-failed', probe: 'liveness', message: 'HTTP 500' })
    assert.equal(observeReplica(replica.state).reason, 'ProbeFailed')
    replica.stopDone(0)
    assert.equal(replica.state.stage, 'waiting')
    assert.match(replica.state.message, /liveness probe failed: HTTP 500/)
    assert.deepEqual(replica.effects.at(-1), { kind: 'count-restart', cause: 'liveness_failure' })
  })

  it('liveness restarts it at most five times in five minutes', () => {
    const replica = play({ backoffMs: 1n }).run()
    for (let n = 0; n < 5; n++) {
      replica.send({ kind: 'probe-failed', probe: 'liveness', message: 'no answer' })
      replica.stopDone(0).pass(100).cameUp()
    }
    replica.send({ kind: 'probe-failed', probe: 'liveness', message: 'no answer' })
    assert.equal(replica.state.stage, 'running')
    assert.deepEqual(replica.effects.at(-1), { kind: 'count-restart-refused' })
    replica.nowMs += 300_000
    replica.send({ kind: 'probe-failed', probe: 'liveness', message: 'no answer' })
    assert.equal(replica.state.stage, 'stopping')
  })

  it('says why it is not ready, as long as it is not', () => {
    const replica = play({}, true)
      .run()
      .send(readiness(false, 'its readiness probe fails: HTTP 503'))
    const seen = observeReplica(replica.state)
    assert.equal(seen.state, ReplicaState.RUNNING)
    assert.equal(seen.reason, 'NotReady')
    assert.match(seen.message, /HTTP 503/)
    assert.equal(observeReplica(replica.send(readiness(true)).state).reason, '')
  })

  it('says that liveness fails until it passes again, whatever readiness says', () => {
    const replica = play({ backoffMs: 1n }).run()
    for (let n = 0; n < 6; n++) {
      replica.send({ kind: 'probe-failed', probe: 'liveness', message: 'no answer' })
      if (n < 5) replica.stopDone(0).pass(100).cameUp()
    }
    replica.send(readiness(false, 'HTTP 503'))
    assert.equal(replica.state.reason, 'ProbeFailed')
    assert.match(replica.state.message, /restarted 5 times within 5 minutes/)
    replica.send({ kind: 'probe-recovered' })
    assert.equal(replica.state.reason, '')
  })

  it('is failed for good when it writes more than its storage limit', () => {
    const replica = play().run().send({ kind: 'storage-exceeded', message: 'uses 2Gi of 1Gi' })
    replica.stopDone(143)
    assert.equal(replica.state.stage, 'failed')
    assert.equal(observeReplica(replica.state).reason, 'EphemeralStorageExceeded')
  })
})

describe('told from outside', () => {
  it('restarts by hand at once, without counting a crash', () => {
    const replica = play().run().send({ kind: 'restart', graceMs: 5 })
    assert.deepEqual(replica.effects.at(-1), { kind: 'stop', graceMs: 5 })
    replica.stopDone(143)
    assert.equal(replica.state.stage, 'pulling')
    assert.equal(replica.state.crashesInRow, 0)
    assert.equal(replica.state.restartCount, 1)
  })

  it('stops by hand and stays so', () => {
    const replica = play().run().send({ kind: 'halt', graceMs: undefined }).stopDone(143)
    assert.equal(replica.state.stage, 'succeeded')
    assert.equal(replica.state.lastEnd?.exitCode, 143)
  })

  it('a new spec stops the old container before it starts the new one', () => {
    const replica = play().run()
    const next = create(AssignmentSchema, { replicaId: 'web-abcd2345', spec: { image: 'nginx:2' } })
    replica.send({ kind: 'replace', assignment: next })
    assert.deepEqual(replica.kinds, ['pull', 'start', 'stop'])
    replica.stopDone(0)
    assert.deepEqual(replica.kinds, ['pull', 'start', 'stop', 'pull'])
    assert.equal(replica.state.assignment.spec?.image, 'nginx:2')
  })

  it('a stop during a pull cancels it and removes what there is', () => {
    const replica = play().send({ kind: 'begin' }).send({ kind: 'stop', graceMs: undefined })
    replica.send({ kind: 'pull-failed', code: 'cancelled', message: 'aborted' })
    assert.deepEqual(replica.kinds, ['pull', 'cancel-pull', 'remove'])
  })

  it('a stop during a start waits for the start, then stops and removes', () => {
    const replica = play().send({ kind: 'begin' }).send({ kind: 'pulled' })
    replica.send({ kind: 'stop', graceMs: undefined })
    replica.send({ kind: 'started', address: '10.244.1.2', startedAtMs: 0 }).stopDone(0)
    replica.send({ kind: 'remove-done' })
    assert.deepEqual(replica.kinds, ['pull', 'start', 'stop', 'remove'])
    assert.equal(replica.state.stage, 'removed')
    assert.equal(observeReplica(replica.state).removed, true)
  })

  it('a spec with no grace is stopped without any, one that says nothing has 30 s', () => {
    const graceOf = (spec: { terminationGraceMs?: bigint }): ReplicaEffect | undefined => {
      const assigned = create(AssignmentSchema, { replicaId: 'web-abcd2345', spec })
      const replica = new Play(newReplica(assigned)).run()
      return replica.send({ kind: 'stop', graceMs: undefined }).effects.at(-1)
    }
    assert.deepEqual(graceOf({ terminationGraceMs: 0n }), { kind: 'stop', graceMs: 0 })
    assert.deepEqual(graceOf({}), { kind: 'stop', graceMs: 30_000 })
  })

  it('a second stop with less grace ends the first sooner, one with more changes nothing', () => {
    const replica = play().run().send({ kind: 'stop', graceMs: 60_000 })
    replica.send({ kind: 'stop', graceMs: 90_000 }).send({ kind: 'stop', graceMs: 0 })
    assert.deepEqual(replica.effects.slice(2), [
      { kind: 'stop', graceMs: 60_000 },
      { kind: 'hurry', graceMs: 0 },
    ])
    replica.send({ kind: 'stop', graceMs: undefined }).stopDone(137)
    assert.deepEqual(replica.kinds.slice(2), ['stop', 'hurry', 'remove'])
  })

  describe('with a delay', () => {
    const stop = (delayMs: number, graceMs?: number): ReplicaEvent => {
      return { kind: 'stop', graceMs, delayMs }
    }

    it('serves on until the delay is over, without counting as ready', () => {
      const replica = play().run().send(stop(1_000)).pass(999)
      assert.deepEqual(replica.kinds, ['pull', 'start'])
      assert.equal(observeReplica(replica.state).state, ReplicaState.STOPPING)
      assert.equal(observeReplica(replica.state).ready, false)
      replica.pass(1).stopDone(0).send({ kind: 'remove-done' })
      assert.deepEqual(replica.kinds.slice(2), ['stop', 'remove'])
      assert.equal(replica.state.stage, 'removed')
    })

    it('waits for nobody when it was not ready', () => {
      assert.deepEqual(play({}, true).run().send(stop(1_000)).kinds, ['pull', 'start', 'stop'])
    })

    it('goes on waiting when it is told the same again, and stops at once when it is urgent', () => {
      const replica = play().run().send(stop(1_000)).pass(500).send(stop(1_000))
      assert.equal(replica.waitMs, 500)
      replica.send(stop(1_000, 0))
      assert.deepEqual(replica.effects.at(-1), { kind: 'stop', graceMs: 0 })
    })

    it('is removed when it ends meanwhile, and no new spec or probe brings it back', () => {
      const replica = play().run().send(stop(1_000))
      replica.send({ kind: 'replace', assignment: assignment() }).send(readiness(true))
      assert.deepEqual(replica.exit(1).kinds, ['pull', 'start', 'remove'])
    })
  })

  it('tries a removal again when the runtime refuses it', () => {
    const replica = play().run().send({ kind: 'stop', graceMs: 0 }).stopDone(137)
    replica.send({ kind: 'remove-failed', message: 'busy' }).pass(500)
    assert.deepEqual(replica.kinds.slice(-2), ['remove', 'remove'])
  })
})

// --- never and eventually

type InFlight = 'pull' | 'start' | 'stop' | 'remove' | undefined

/** A runtime in three variables: what is asked for, what runs, and whether it was ever asked for two at once. */
function perform(world: { inFlight: InFlight; runs: boolean }, effect: ReplicaEffect): void {
  if (effect.kind === 'pull' || effect.kind === 'start') {
    assert.equal(world.runs, false, `${effect.kind} while a container runs`)
  }
  if (['pull', 'start', 'stop', 'remove'].includes(effect.kind)) {
    assert.equal(world.inFlight, undefined, `${effect.kind} while ${world.inFlight} is in flight`)
    world.inFlight = effect.kind as InFlight
  }
}

function answer(world: { inFlight: InFlight; runs: boolean }, good: boolean): ReplicaEvent {
  const inFlight = world.inFlight
  world.inFlight = undefined
  const message = 'it did not work'
  switch (inFlight) {
    case 'pull':
      return good ? { kind: 'pulled' } : { kind: 'pull-failed', code: 'unavailable', message }
    case 'start':
      world.runs = good
      if (!good) return { kind: 'start-failed', code: 'failed_precondition', message }
      return { kind: 'started', address: '10.0.0.1', startedAtMs: 0 }
    case 'stop':
      if (!good) return { kind: 'stop-failed', message }
      world.runs = false
      return { kind: 'stop-done', exitCode: 0, oomKilled: false, finishedAtMs: 0 }
    case 'remove':
      return good ? { kind: 'remove-done' } : { kind: 'remove-failed', message }
    default:
      return { kind: 'timer' }
  }
}

const outside: fc.Arbitrary<ReplicaEvent | 'good' | 'bad' | 'crash'> = fc.oneof(
  { weight: 6, arbitrary: fc.constant('good' as const) },
  { weight: 2, arbitrary: fc.constant('bad' as const) },
  { weight: 3, arbitrary: fc.constant('crash' as const) },
  fc.constantFrom<ReplicaEvent>(
    { kind: 'begin' },
    { kind: 'timer' },
    { kind: 'runtime-available' },
    readiness(true),
    readiness(false),
    readiness(false, 'HTTP 503'),
    { kind: 'probe-recovered' },
    { kind: 'probe-failed', probe: 'liveness', message: 'no answer' },
    { kind: 'suspend', message: 'stopped after 5m without the coordinator' },
    { kind: 'storage-exceeded', message: 'too much' },
    { kind: 'restart', graceMs: undefined },
    { kind: 'halt', graceMs: undefined },
    { kind: 'stop', graceMs: undefined, delayMs: 1_000 },
    { kind: 'replace', assignment: assignment({ maxRetries: 3 }, true) },
  ),
)

describe('whatever happens, in whatever order', () => {
  const script = fc.array(fc.tuple(outside, fc.integer({ min: 0, max: 400_000 })), {
    maxLength: 60,
  })
  const policies = fc.record({
    policy: fc.constantFrom<RestartPolicyKind>(1, 2, 3),
    maxRetries: fc.integer({ min: 0, max: 3 }),
  })

  it('never two at once, ready only while running, and a stop ends in removed for good', () => {
    fc.assert(
      fc.property(policies, script, (policy, events) => {
        const world = { inFlight: undefined as InFlight, runs: false }
        const replica = play(policy)
        const send = (event: ReplicaEvent): void => {
          const before = replica.effects.length
          replica.send(event)
          for (const effect of replica.effects.slice(before)) perform(world, effect)
          const { ready, stage } = replica.state
          assert.ok(!ready || stage === 'running')
          const runsUnasked = world.runs && !world.inFlight
          if (stage === 'running') assert.ok(runsUnasked)
          // A stop that failed is tried again.
          if (runsUnasked) assert.ok(['running', 'lingering', 'stopping'].includes(stage), stage)
        }
        for (const [event, passMs] of events) {
          replica.nowMs += passMs
          if (event === 'good' || event === 'bad') send(answer(world, event === 'good'))
          else if (event !== 'crash') send(event)
          else if (world.runs && world.inFlight === undefined) {
            world.runs = false
            send({ kind: 'exited', exitCode: 1, oomKilled: false, finishedAtMs: 0 })
          }
        }
        send({ kind: 'stop', graceMs: undefined })
        for (let n = 0; n < 10 && replica.state.stage !== 'removed'; n++) {
          replica.nowMs += 300_000
          send(answer(world, true))
        }
        assert.equal(replica.state.stage, 'removed')
        assert.equal(world.runs, false)
        const asked = replica.effects.length
        for (const [event] of events) if (typeof event !== 'string') send(event)
        assert.equal(replica.effects.length, asked)
      }),
      { numRuns: 500 },
    )
  })
})
