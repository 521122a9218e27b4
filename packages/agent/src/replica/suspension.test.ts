import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { AssignmentSchema, ReplicaState } from '@cloudless/api'
import { stepReplica } from './replica-machine.ts'
import { recordOfReplica, replicaOfRecord } from './record-of-replica.ts'
import { observeReplica } from './replica-observation.ts'
import { newReplica, type ReplicaEvent, type ReplicaMachine } from './replica-state.ts'

const now = { monotonicMs: 1_000, wallMs: 1_000 }
const suspend: ReplicaEvent = { kind: 'suspend', message: 'stopped after 5m' }
const stopDone: ReplicaEvent = {
  kind: 'stop-done',
  exitCode: 143,
  oomKilled: false,
  finishedAtMs: 1,
}
const started: ReplicaEvent = { kind: 'started', address: '10.244.1.2', startedAtMs: 1_000 }
const up: ReplicaEvent[] = [{ kind: 'begin' }, { kind: 'pulled' }, started]

function play(...events: ReplicaEvent[]): { state: ReplicaMachine; effects: string[] } {
  let state = newReplica(create(AssignmentSchema, { replicaId: 'web-1', spec: { image: 'a' } }))
  const effects: string[] = []
  for (const event of events) {
    const step = stepReplica(state, event, now)
    state = step.state
    effects.push(...step.effects.map(({ kind }) => kind))
  }
  return { state, effects }
}

describe('a replica that must not run without the coordinator', () => {
  it('is stopped, stays known, says why, and starts on the word of the coordinator', () => {
    const { state, effects } = play(...up, suspend, stopDone)
    assert.deepEqual(effects, ['pull', 'start', 'stop'])
    const seen = observeReplica(state)
    assert.deepEqual([seen.state, seen.ready], [ReplicaState.STARTING, false])
    assert.deepEqual([seen.reason, seen.message], ['Disconnected', 'stopped after 5m'])
    const again = play(...up, suspend, stopDone, ...up)
    assert.equal(again.state.stage, 'running')
    assert.equal(again.state.suspended, false)
    assert.equal(again.state.restartCount, 0)
  })

  for (const [stage, before, after] of [
    ['new', [], []],
    ['pulling', [up[0]!], [{ kind: 'pull-failed', code: 'cancelled', message: '' } as const]],
    ['starting', up.slice(0, 2), [started, stopDone]],
    ['running', up, [stopDone]],
    [
      'waiting',
      [...up, { kind: 'exited', exitCode: 1, oomKilled: false, finishedAtMs: 1 } as const],
      [{ kind: 'timer' } as const],
    ],
  ] as const) {
    it(`comes to rest from ${stage}`, () => {
      assert.equal(play(...before).state.stage, stage)
      const { state } = play(...before, suspend, ...after)
      assert.deepEqual([state.stage, state.suspended], ['new', true])
      assert.equal(state.timerAtMs, undefined)
    })
  }

  it('goes on when the word comes while it is being stopped', () => {
    const { state } = play(...up, suspend, { kind: 'begin' }, stopDone)
    assert.deepEqual([state.stage, state.suspended], ['pulling', false])
  })

  it('is not brought back once it is to go', () => {
    const stop: ReplicaEvent = { kind: 'stop', graceMs: undefined }
    const { state } = play(...up, suspend, stop, { kind: 'begin' }, stopDone)
    assert.equal(state.stage, 'removing')
  })

  it('stays stopped over a restart of the agent', () => {
    const { state } = play(...up, suspend, stopDone)
    const facts = { adHoc: false, idempotencyKey: '', bootId: 'boot-1' }
    const back = replicaOfRecord(recordOfReplica(state, facts))
    assert.deepEqual([back.stage, back.suspended, back.message], ['new', true, 'stopped after 5m'])
  })
})
