import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState, WorkloadPhase, type ReplicaRecord } from '@cloudless/api'
import { stopping } from '../controllers/replica-records.ts'
import { enumName } from '../state/enum-names.ts'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { statusOf, viewWorkload } from './workload-view.ts'

const wanting = (replicas: number, rest = {}) => workloadRecord({ ...rest, spec: { replicas } })
const ready = (id: string, facts = {}) => readyReplica(id, 'node-a', facts)
const inState = (id: string, state: ReplicaState, message = '') =>
  replicaRecord(id, { status: { state, nodeId: 'node-a', message } })
const waiting = (id: string) => replicaRecord(id, { status: { message: '0 of 1 nodes: full' } })

const cases: readonly [string, ReturnType<typeof wanting>, ReplicaRecord[], string, RegExp][] = [
  ['nothing yet', wanting(2), [], 'PENDING', /^0 of 2/],
  [
    'one waits for a place',
    wanting(2),
    [ready('a'), waiting('b')],
    'SCHEDULING',
    /b: 0 of 1 nodes/,
  ],
  ['one starts', wanting(1), [inState('a', ReplicaState.STARTING)], 'UPDATING', /^0 of 1/],
  ['all ready', wanting(2), [ready('a'), ready('b')], 'RUNNING', /^$/],
  ['wants none and has none', wanting(0), [], 'RUNNING', /^$/],
  ['too many', wanting(1), [ready('a'), ready('b')], 'UPDATING', /^2 of 1/],
  ['one is old', wanting(1, { revision: 2n }), [ready('a')], 'UPDATING', /^1 of 1/],
  [
    'one is to be replaced',
    wanting(1),
    [ready('a', { replaceWanted: true }), ready('b')],
    'UPDATING',
    /./,
  ],
  [
    'one gave up',
    wanting(2),
    [ready('a'), inState('b', ReplicaState.FAILED, 'exit code 1')],
    'FAILED',
    /exit code 1/,
  ],
  ['all ended well', wanting(1), [inState('a', ReplicaState.STOPPED)], 'SUCCEEDED', /^$/],
  [
    'some ended well',
    wanting(2),
    [inState('a', ReplicaState.STOPPED), ready('b')],
    'RUNNING',
    /^$/,
  ],
  ['all are lost', wanting(1), [inState('a', ReplicaState.LOST)], 'UPDATING', /^0 of 1/],
  [
    'what is being stopped does not count',
    wanting(1),
    [ready('a'), stopping(ready('b'), 'scaled', undefined)],
    'RUNNING',
    /^$/,
  ],
  ['it is being deleted', wanting(1, { deletedAtMs: 1n }), [ready('a')], 'TERMINATING', /./],
]
for (const [name, workload, replicas, phase, message] of cases) {
  test(`${name}: ${phase}`, () => {
    const status = statusOf(workload, replicas)
    assert.equal(enumName(WorkloadPhase, status.phase), phase)
    assert.match(status.message, message)
  })
}

test('counts are of what is live, ready and of the current revision', () => {
  const replicas = [
    ready('a', { status: { revision: 2n } }),
    ready('b'),
    inState('c', ReplicaState.STARTING),
    inState('d', ReplicaState.LOST),
  ]
  const status = statusOf(wanting(3, { revision: 2n }), replicas, true)
  assert.equal(status.currentReplicas, 3)
  assert.equal(status.readyReplicas, 2)
  assert.equal(status.updatedReplicas, 1)
  assert.equal(status.replicas.length, 4)
})

test('a view does not change the record it is of', () => {
  const record = wanting(1)
  const view = viewWorkload(record, [ready('a')], { withReplicas: true, modRevision: 9 })
  assert.equal(view.resourceVersion, 9n)
  assert.equal(record.workload!.resourceVersion, 0n)
  assert.equal(record.workload!.status, undefined)
})
