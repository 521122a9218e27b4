import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodePhase } from '@cloudless/api'
import type { RecordChange } from '../state/cluster-state.ts'
import { nodeRecord, replicaRecord } from '../testing/records.ts'
import { nodesGivenUp } from './nodes-given-up.ts'

const inPhase = (phase: NodePhase) => {
  const record = nodeRecord('node-a')
  const node = { ...record.node!, status: { ...record.node!.status!, phase } }
  return { ...record, node }
}
const ready = inPhase(NodePhase.READY)
const offline = inPhase(NodePhase.OFFLINE)

test('a node is given up when it becomes OFFLINE, and not again while it stays so', () => {
  const rows: [RecordChange, string[]][] = [
    [{ kind: 'node', id: 'node-a', before: ready, after: offline }, ['node-a']],
    [{ kind: 'node', id: 'node-a', before: offline, after: offline }, []],
    [{ kind: 'node', id: 'node-a', before: offline, after: ready }, []],
    [{ kind: 'node', id: 'node-a', before: ready }, []],
    [{ kind: 'replica', id: 'web-1', after: replicaRecord('web-1') }, []],
  ]
  for (const [change, nodeIds] of rows) assert.deepEqual(nodesGivenUp([change]), nodeIds)
  assert.deepEqual(nodesGivenUp(rows.map(([change]) => change)), ['node-a'])
})
