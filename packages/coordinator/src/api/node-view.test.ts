import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState, WorkloadType } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import { cleanUp, openCluster } from '../testing/cluster.ts'
import { nodeRecord, readyReplica } from '../testing/records.ts'
import { reliabilityOf } from './node-view.ts'

test('attempts of jobs that failed and are kept are held against their node once, by its history', async (t) => {
  const { state, put } = await openCluster(t)
  const liveNodes = new LiveNodes(
    { clock: systemClock, onChange: () => undefined },
    livenessDefaults,
  )
  cleanUp(t, () => liveNodes.close())
  const score = (): number =>
    reliabilityOf({ state, liveNodes, clock: systemClock, startedAtMs: 0 }, state.get('node', 'a')!)
  await put('node', { a: nodeRecord('a', { node: { createdAtMs: BigInt(systemClock.wallMs()) } }) })
  await put('replica', { 'web-1': readyReplica('web-1', 'a') })
  const before = score()
  const failed = { state: ReplicaState.FAILED, ready: false, finishedAtMs: 1n }
  const spec = { type: WorkloadType.JOB } as never
  await put('replica', { 'sum-1': readyReplica('sum-1', 'a', { spec, status: failed }) })
  assert.ok(Math.abs(score() - before) < 0.001)
  await put('replica', { 'web-2': readyReplica('web-2', 'a', { status: failed }) })
  assert.ok(score() < before - 0.001, 'a service that has failed is')
})
