import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { AssignmentSchema } from '@cloudless/api'
import type { ContainerInfo } from '@cloudless/runtime'
import { planAdoption } from './adoption.ts'
import { newReplica, type ReplicaMachine } from './replica-state.ts'

const running: ContainerInfo = {
  containerId: 'web-1',
  replicaId: 'web-1',
  workloadId: 'default-web',
  state: 'running',
  pid: 7,
  image: 'nginx:1',
  address: '10.244.1.2',
  startedAtMs: 1_000,
  finishedAtMs: 0,
  exitCode: 0,
}

const replica = (probed: boolean): ReplicaMachine => {
  const check = { case: 'tcp' as const, value: { port: 80 } }
  const spec = { image: 'nginx:1', ...(probed && { readinessProbe: { check } }) }
  return newReplica(create(AssignmentSchema, { replicaId: 'web-1', spec }))
}

const adopt = { kind: 'adopt', address: '10.244.1.2', startedAtMs: 1_000, ready: true } as const

describe('a container that is found at the start', () => {
  for (const [what, found, probed, readyBefore, events] of [
    ['is taken over as it runs', {}, false, false, [adopt]],
    ['is ready if it was before', {}, true, true, [adopt]],
    ['is not ready before its probe says so', {}, true, false, [{ ...adopt, ready: false }]],
    [
      'that ended meanwhile has ended',
      { state: 'stopped', exitCode: 3, finishedAtMs: 9_000 },
      false,
      false,
      [adopt, { kind: 'exited', exitCode: 3, oomKilled: false, finishedAtMs: 9_000 }],
    ],
    ['that was never started is not', { state: 'stopped', startedAtMs: 0 }, false, false, []],
    ['that was only made is not', { state: 'created' }, false, false, []],
  ] as const) {
    it(what, () => {
      assert.deepEqual(planAdoption(replica(probed), { ...running, ...found }, readyBefore), events)
    })
  }

  it('keeps the address on record where the runtime says none', () => {
    const state = { ...replica(false), address: '10.244.1.9' }
    const [event] = planAdoption(state, { ...running, address: '' }, false)
    assert.deepEqual(event, { ...adopt, address: '10.244.1.9' })
  })

  it('means nothing to a replica that is under way', () => {
    assert.deepEqual(planAdoption({ ...replica(false), stage: 'pulling' }, running, true), [])
  })
})
