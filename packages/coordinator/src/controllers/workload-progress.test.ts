import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { stepWorkloadProgress, type WorkloadProgress } from './workload-progress.ts'
import { tallyOf } from './workload-tally.ts'

const web = (replicas: number, revision = 1n) => {
  const record = workloadRecord({ spec: { replicas } })
  record.workload!.revision = revision
  return record
}
const waiting = (id: string) => replicaRecord(id, { status: { nodeId: '', revision: 1n } })
const placed = (id: string) => replicaRecord(id, { status: { nodeId: 'node-a', revision: 1n } })
const ready = (id: string) => {
  const replica = readyReplica(id, 'node-a')
  replica.status!.revision = 1n
  return replica
}
const inState = (id: string, state: ReplicaState) =>
  replicaRecord(id, { status: { nodeId: 'node-a', revision: 1n, state } })

/** What is said at each look, one line a look. */
function saidOf(looks: readonly (readonly [number, bigint, ...ReturnType<typeof placed>[]])[]) {
  let known: WorkloadProgress | undefined
  return looks.map(([wanted, revision, ...replicas]) => {
    const step = stepWorkloadProgress(known, web(wanted, revision), tallyOf(replicas))
    known = step.progress
    return step.words.join(' ')
  })
}

test('a new workload is scheduled, then ready, each said once', () => {
  const said = saidOf([
    [2, 1n],
    [2, 1n, waiting('a'), placed('b')],
    [2, 1n, placed('a'), placed('b')],
    [2, 1n, ready('a'), placed('b')],
    [2, 1n, ready('a'), ready('b')],
    [2, 1n, ready('a'), ready('b')],
  ])
  assert.deepEqual(said, ['', '', 'scheduled', '', 'ready', ''])
})

test('fewer ready than there were is degraded, unless more or something else was asked for', () => {
  const [a, b] = [ready('a'), ready('b')]
  assert.deepEqual(
    saidOf([
      [2, 1n, a, b],
      [2, 1n, a, placed('b')],
      [2, 1n, a, b],
    ]),
    ['', 'degraded', ''],
  )
  assert.deepEqual(
    saidOf([
      [2, 1n, a, b],
      [3, 1n, a, b, waiting('c')],
    ]),
    ['', ''],
  )
  const lost = inState('b', ReplicaState.LOST)
  assert.deepEqual(
    saidOf([
      [2, 1n, a, b],
      [2, 1n, a, lost],
    ]),
    ['', 'degraded'],
  )
})

test('a replica that is given up is said once', () => {
  const failed = inState('a', ReplicaState.FAILED)
  assert.deepEqual(
    saidOf([
      [1, 1n, placed('a')],
      [1, 1n, failed],
      [1, 1n, failed],
    ]),
    ['', 'failed', ''],
  )
})

test('nothing is said of what was so before this process looked', () => {
  assert.deepEqual(
    saidOf([
      [1, 1n, ready('a')],
      [1, 1n, ready('a')],
    ]),
    ['', ''],
  )
  assert.deepEqual(
    saidOf([
      [0, 1n],
      [0, 1n],
    ]),
    ['', ''],
  )
})
