import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ClusterRecordSchema, HelloSchema, NodeRecordSchema } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { ClusterState } from '../state/cluster-state.ts'
import { RestoredBehind } from './restored-behind.ts'

const dayMs = 86_400_000
const backupAtMs = 100 * dayMs
const restoredAtMs = 101 * dayMs

function world(nowMs: number, record: { restoredAtMs?: bigint; restoredFromMs?: bigint }) {
  const said: string[] = []
  const known: Record<string, unknown> = {
    'cluster cluster': create(ClusterRecordSchema, record),
    'node n1': create(NodeRecordSchema, { node: { id: 'n1', name: 'one' } }),
    'replica web-known': {},
  }
  const behind = new RestoredBehind({
    state: { get: (kind: string, id: string) => known[`${kind} ${id}`] } as Pick<
      ClusterState,
      'get'
    >,
    clock: { wallMs: () => nowMs } as Clock,
    report: {
      restoredBehind: (node, replicaId) => void said.push(`${node.node!.name} ${replicaId}`),
    },
  })
  return { behind, said }
}

const restored = { restoredAtMs: BigInt(restoredAtMs), restoredFromMs: BigInt(backupAtMs) }
const hello = create(HelloSchema, {
  nodeId: 'n1',
  replicas: [
    { replicaId: 'web-known', startedAtMs: BigInt(backupAtMs + 1) },
    { replicaId: 'web-newer', startedAtMs: BigInt(backupAtMs + 1) },
    { replicaId: 'web-starting' },
    { replicaId: 'web-older', startedAtMs: BigInt(backupAtMs - 1) },
    { replicaId: 'web-gone', removed: true },
  ],
})

test('what a node has and the backup did not know is said once', () => {
  const { behind, said } = world(restoredAtMs + 1, restored)
  behind.greet('n1', hello)
  behind.greet('n1', hello)
  behind.greet('stranger', hello)
  assert.deepEqual(said, ['one web-newer', 'one web-starting'])
  assert.deepEqual(behind.status(), { restoredAtMs, backupAtMs, unknownReplicas: 2 })
})

test('nothing is said of a cluster that was never restored, or long ago', () => {
  for (const { behind, said } of [
    world(restoredAtMs, {}),
    world(restoredAtMs + 8 * dayMs, restored),
  ]) {
    behind.greet('n1', hello)
    assert.deepEqual(said, [])
    assert.equal(behind.status(), undefined)
  }
})
