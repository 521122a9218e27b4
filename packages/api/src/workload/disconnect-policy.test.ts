import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromJson, type JsonObject } from '@bufbuild/protobuf'
import { WorkloadSpecSchema } from '../gen/cloudless/v1/workload_pb.ts'
import { defaultWorkloadSpec } from './default-workload.ts'
import { onReturnOf, replaceAtMs } from './disconnect-policy.ts'

const spec = (json: JsonObject) => fromJson(WorkloadSpecSchema, { image: 'nginx:1', ...json })

for (const [property, json, expected] of [
  ['a lost replica is replaced at once', {}, 0n],
  ['also with a policy that says nothing of it', { onDisconnect: {} }, 0n],
  ['or when it says so', { onDisconnect: { replaceAfterMs: '0' } }, 0n],
  ['a while later when asked to wait', { onDisconnect: { replaceAfterMs: '500' } }, 1_500n],
  ['never while its node is away when it is kept', { onDisconnect: { keep: true } }, -1n],
] as const) {
  test(property, () => assert.equal(replaceAtMs(spec(json), 1_000), expected))
}

test('the original stays unless another is asked for', () => {
  assert.equal(onReturnOf(undefined), 'original')
  assert.equal(onReturnOf(spec({ onDisconnect: {} })), 'original')
  assert.equal(onReturnOf(spec({ onDisconnect: { onReturn: 'best_placed' } })), 'best_placed')
})

test('the policies are filled in where they are given, and nowhere else', () => {
  const filled = defaultWorkloadSpec(spec({ rebalance: { enabled: true }, onDisconnect: {} }))
  assert.equal(filled.rebalance?.maxMoving, 1)
  assert.equal(filled.rebalance.intervalMs, 30_000n)
  assert.equal(filled.onDisconnect?.onReturn, 'original')
  const bare = defaultWorkloadSpec(spec({}))
  assert.equal(bare.rebalance, undefined)
  assert.equal(bare.onDisconnect, undefined)
})
