import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { ReplicaState, TaintSchema, WorkloadType, type TolerationSchema } from '@cloudless/api'
import { nodeRecord, readyReplica } from '../testing/records.ts'
import { planEvictions } from './plan-evictions.ts'
import { stopping } from './replica-records.ts'

const taint = create(TaintSchema, { key: 'k', value: 'v', effect: 'NoExecute' })
const quiet = nodeRecord('node-a')
const tainted = nodeRecord('node-a', { node: { taints: [taint] } })
const draining = nodeRecord('node-a', { drainStartedAtMs: 1n, drainGraceful: true })
const emptying = nodeRecord('node-a', { drainStartedAtMs: 1n, drainGraceful: false })

const forced = (drainDeadlineMs: bigint) =>
  nodeRecord('node-a', {
    drainStartedAtMs: 1n,
    drainGraceful: true,
    drainForce: true,
    drainDeadlineMs,
  })
const overdue = nodeRecord('node-a', {
  drainStartedAtMs: 1n,
  drainGraceful: true,
  drainDeadlineMs: 100n,
})

const web = readyReplica('web-1', 'node-a')
const marked = (replaceReason: string) =>
  readyReplica('web-1', 'node-a', { replaceWanted: true, replaceReason })
const tolerating = (toleration: MessageInitShape<typeof TolerationSchema>) =>
  readyReplica('web-1', 'node-a', { spec: { placement: { tolerations: [toleration] } } as never })
const daemon = readyReplica('web-1', 'node-a', {
  spec: { type: WorkloadType.DAEMON } as never,
})
const lost = readyReplica('web-1', 'node-a', { status: { state: ReplicaState.LOST } })

const over = readyReplica('web-1', 'node-a', {
  spec: { type: WorkloadType.JOB } as never,
  status: { state: ReplicaState.STOPPED, finishedAtMs: 1n },
})

const cases = [
  ['a quiet node keeps what it has', quiet, web, ''],
  ['a drain replaces', draining, web, 'replace drained'],
  ['a drain asks once', draining, marked('drained'), ''],
  ['a hurried drain stops', emptying, web, 'stop drained'],
  ['a drain in a hurry stops what was to be replaced', emptying, marked('drained'), 'stop drained'],
  ['a forced drain waits for its deadline', forced(101n), marked('drained'), ''],
  ['and then stops', forced(100n), marked('drained'), 'stop drained'],
  ['without force it goes on trying', overdue, marked('drained'), ''],
  ['daemons stay where they belong', emptying, daemon, ''],
  ['NoExecute moves daemons too', tainted, daemon, 'replace tainted'],
  ['what is being stopped is left alone', draining, stopping(web, 'scaled', undefined), ''],
  ['what is lost is left alone', draining, lost, ''],
  ['after an uncordon it stays', quiet, marked('drained'), 'keep drained'],
  ['a wish of the user stays one', quiet, marked('rescheduled'), ''],
  ['NoExecute replaces', tainted, web, 'replace tainted'],
  ['a toleration of key and value keeps', tainted, tolerating({ key: 'k', value: 'v' }), ''],
  ['of another value does not', tainted, tolerating({ key: 'k', value: 'w' }), 'replace tainted'],
  ['of the key keeps', tainted, tolerating({ key: 'k', operator: 'Exists' }), ''],
  ['of everything keeps', tainted, tolerating({ operator: 'Exists' }), ''],
  ['what is over does not leave with a drain', emptying, over, ''],
  ['nor for a taint', tainted, over, ''],
  [
    'of another effect does not',
    tainted,
    tolerating({ key: 'k', operator: 'Exists', effect: 'NoSchedule' }),
    'replace tainted',
  ],
] as const
for (const [name, node, replica, expected] of cases) {
  test(name, () => {
    const said = planEvictions(node, [replica], 100).map(({ kind, reason }) => `${kind} ${reason}`)
    assert.equal(said.join(), expected)
  })
}
