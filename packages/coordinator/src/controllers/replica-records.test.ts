import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  ReplicaObservationSchema,
  ReplicaState,
  WorkloadType,
  type ReplicaRecord,
} from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { enumName } from '../state/enum-names.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { applyObservation, newReplica, newReplicaId, stopping } from './replica-records.ts'

type Observed = MessageInitShape<typeof ReplicaObservationSchema>

const observe = (record: ReplicaRecord, observed: Observed, nodeId = 'node-a') =>
  applyObservation(record, create(ReplicaObservationSchema, { replicaId: 'web-1', ...observed }), {
    nodeId,
    nowMs: 500,
  })

const { RUNNING, STARTING, LOST, STOPPED, SCHEDULED, STOPPING } = ReplicaState
const placed = replicaRecord('web-1', { status: { state: SCHEDULED, nodeId: 'node-a' } })
const up = readyReplica('web-1', 'node-a', { status: { lastExitCode: 0 } })
const lost = readyReplica('web-1', 'node-a', { status: { state: LOST, ready: false } })
const going = stopping(up, 'scaled', undefined)

const cases: readonly [string, ReplicaRecord, Observed, string, string][] = [
  ['what its agent says is believed', placed, { state: STARTING }, 'node-a', 'changed STARTING'],
  ['readiness is', placed, { state: RUNNING, ready: true }, 'node-a', 'changed RUNNING ready@500'],
  ['the same again changes nothing', up, { state: RUNNING, ready: true }, 'node-a', 'unchanged'],
  ['another node’s word does not count', placed, { state: RUNNING }, 'node-b', 'unchanged'],
  ['nor its word that it is gone', up, { removed: true }, 'node-b', 'unchanged'],
  ['what is lost is never counted', lost, { state: RUNNING, ready: true }, 'node-a', 'unchanged'],
  ['what is lost and gone is forgotten', lost, { removed: true }, 'node-a', 'forget'],
  ['what was to go and is gone is forgotten', going, { removed: true }, 'node-a', 'forget'],
  ['what its agent lost is forgotten', up, { removed: true }, 'node-a', 'forget'],
  [
    'what is to go is not ready',
    going,
    { state: RUNNING, ready: true },
    'node-a',
    'changed STOPPING',
  ],
  ['an end is', up, { state: STOPPED }, 'node-a', 'changed STOPPED'],
]
for (const [name, record, observed, nodeId, expected] of cases) {
  test(name, () => {
    const verdict = observe(record, observed, nodeId)
    const status = verdict.kind === 'changed' ? verdict.record.status! : undefined
    const detail = status
      ? ` ${enumName(ReplicaState, status.state)}${status.ready ? ` ready@${status.readyAtMs}` : ''}`
      : ''
    assert.equal(verdict.kind + detail, expected)
  })
}

test('an attempt that is over is stopped when it runs again, and has ended as it did', () => {
  const spec = { type: WorkloadType.JOB } as never
  const ended = { state: STOPPED, ready: false, finishedAtMs: 7n }
  const over = readyReplica('web-1', 'node-a', { spec, status: ended })
  for (const state of [STARTING, RUNNING, STOPPING]) {
    const verdict = observe(over, { state })
    assert.ok(verdict.kind === 'changed')
    assert.equal(verdict.record.stopReason, 'outlived')
    assert.equal(verdict.record.status!.finishedAtMs, 7n)
    assert.equal(observe(verdict.record, { state }).kind, 'unchanged')
    assert.equal(observe(verdict.record, { state, removed: true }).kind, 'forget')
  }
  for (const state of [STOPPED, ReplicaState.FAILED]) {
    assert.equal(observe(over, { state }).kind, 'unchanged')
  }
  assert.equal(observe(over, { state: RUNNING }, 'node-b').kind, 'unchanged')
})

test('the time of readiness is that of its beginning', () => {
  const first = observe(placed, { state: RUNNING, ready: true })
  assert.ok(first.kind === 'changed')
  const later = observe(first.record, { state: RUNNING, ready: true, restartCount: 1 })
  assert.ok(later.kind === 'changed')
  assert.equal(later.record.status!.readyAtMs, 500n)
})

test('no history of reports makes a fenced or stopping replica count', () => {
  const report = fc.record({
    state: fc.constantFrom(STARTING, RUNNING, STOPPING, STOPPED, LOST),
    ready: fc.boolean(),
    restartCount: fc.nat(3),
  })
  const start = fc.constantFrom(lost, going)
  fc.assert(
    fc.property(start, fc.array(report, { maxLength: 10 }), (record, reports) => {
      let current = record
      for (const one of reports) {
        const verdict = observe(current, one)
        if (verdict.kind === 'changed') current = verdict.record
        assert.equal(current.status!.ready, false)
        assert.equal(current.stopping, record.stopping)
        assert.equal(current.status!.state, record.status!.state)
      }
    }),
  )
})

test('an observation is taken once: the same again changes nothing', () => {
  const report = fc.record({
    state: fc.constantFrom(STARTING, RUNNING, STOPPED),
    ready: fc.boolean(),
    restartCount: fc.nat(3),
    message: fc.string({ maxLength: 5_000, minLength: 2_000 }),
  })
  fc.assert(
    fc.property(report, (one) => {
      const verdict = observe(placed, one)
      assert.ok(verdict.kind === 'changed')
      assert.equal(observe(verdict.record, one).kind, 'unchanged')
      assert.ok(verdict.record.status!.message.length <= 2_048)
    }),
  )
})

test('records are never changed in place', () => {
  const before = structuredClone({ ...up.status! })
  observe(up, { state: STOPPED, message: 'over' })
  stopping(up, 'scaled', 1n)
  assert.deepEqual({ ...up.status! }, before)
})

test('a replica id is a name for containers and hosts, whatever the workload is called', () => {
  const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,80}[a-z0-9])?$/)
  fc.assert(
    fc.property(label, fc.nat(), (name, seed) => {
      const id = newReplicaId(name, seededRandom(seed))
      assert.match(id, /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?-[a-z2-9]{8}$/)
      assert.ok(id.length <= 49)
    }),
  )
})

test('a new replica is of the workload as it is now', () => {
  const owner = workloadRecord({ revision: 3n, spec: { replicas: 2, priority: 7 } })
  const replica = newReplica(owner, { id: 'web-9', replaces: 'web-1', nowMs: 42 })
  assert.equal(replica.status!.revision, 3n)
  assert.equal(replica.status!.replaces, 'web-1')
  assert.equal(replica.status!.createdAtMs, 42n)
  assert.equal(replica.spec!.priority, 7)
})
