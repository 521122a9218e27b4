import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { WorkloadRevisionSchema } from '@cloudless/api'
import { workloadRecord } from '../testing/records.ts'
import { goBack } from './begin-rollout.ts'

const metrics = { port: 9000, path: '/metrics', names: ['queue'] }
const autoscaling = {
  minReplicas: 1,
  maxReplicas: 9,
  metrics: [{ type: 'custom', name: 'queue', targetValue: 5 }],
}

function messageOf(earlier: object, message = ''): string {
  const record = workloadRecord({ revision: 2n, spec: { metrics, autoscaling } })
  const { spec } = workloadRecord({ spec: earlier }).workload!
  const target = create(WorkloadRevisionSchema, { revision: 1n, spec: spec! })
  const after = goBack(record, target, { nowMs: 1, failedRevision: 0n, message })
  assert.deepEqual(after.workload!.spec!.autoscaling, record.workload!.spec!.autoscaling)
  return after.rollout!.message
}

test('going back to what the autoscaling does not fit goes on, and says so', () => {
  const misfit =
    'autoscaling stays, and does not fit revision 1: ' +
    'autoscaling.metrics[0].name must be one of spec.metrics.names, not "queue"'
  assert.equal(messageOf({}), misfit)
  assert.equal(messageOf({}, 'revision 2 failed'), `revision 2 failed; ${misfit}`)
  assert.equal(messageOf({ metrics }), '')
})
