import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterTable, noResources, type NodeView, type ReplicaKind } from '@cloudless/scheduler'
import { aKind, aNode } from '@cloudless/scheduler/testing'
import type { ViewChange } from './scheduler-view.ts'
import { WaitingReplicas } from './waiting-replicas.ts'

const nothing: ViewChange = {
  nodeIds: new Set(),
  replicasMoved: false,
  images: new Set(),
  everything: false,
}
const changed = (...names: string[]): ViewChange => ({
  ...nothing,
  nodeIds: new Set(names.map((name) => `node-${name}`)),
})
const moved: ViewChange = { ...nothing, replicasMoved: true }

const large = aKind({ workloadId: 'large', requests: { ...noResources, cpuMillis: 8_000 } })
const ssd = aKind({
  workloadId: 'ssd',
  nodeSelector: { disk: 'ssd' },
  image: 'docker.io/library/ssd:1',
})
const near = aKind({ workloadId: 'near' })

function tableOf(...nodes: NodeView[]): ClusterTable {
  const table = new ClusterTable()
  for (const node of nodes) table.putNode(node)
  return table
}

function waitingOf(...entries: [string, ReplicaKind, string[]][]): WaitingReplicas {
  const waiting = new WaitingReplicas()
  waiting.add(
    entries.map(([id, kind, filters]) => ({ id, kind, filters })),
    0,
  )
  return waiting
}

const small = aNode('small')
const big = aNode('big', { allocatable: { ...aNode('big').allocatable, cpuMillis: 16_000 } })
const fast = aNode('fast', { labels: { disk: 'ssd' } })

for (const { what, change, helps } of [
  { what: 'a node that is too small', change: changed('small'), helps: [] },
  { what: 'a node with room', change: changed('big'), helps: ['large'] },
  { what: 'a node with the label', change: changed('fast'), helps: ['ssd'] },
  { what: 'several nodes', change: changed('small', 'big', 'fast'), helps: ['large', 'ssd'] },
  { what: 'a node that is gone again', change: changed('gone'), helps: [] },
  { what: 'a replica that moved', change: moved, helps: ['near'] },
  {
    what: 'an image for other platforms',
    change: { ...nothing, images: new Set(['docker.io/library/ssd:1']) },
    helps: ['ssd'],
  },
  {
    what: 'other settings',
    change: { ...nothing, everything: true },
    helps: ['large', 'ssd', 'near'],
  },
]) {
  test(`${what} wakes ${helps.join(' and ') || 'nobody'}`, () => {
    const waiting = waitingOf(
      ['l-1', large, ['resources']],
      ['s-1', ssd, ['selector']],
      // Nothing on the nodes speaks against it: it waits for a neighbour.
      ['n-1', { ...near, nodeSelector: { no: 'where' } }, ['affinity']],
    )
    const helped = waiting.helpedBy(change, tableOf(small, big, fast))
    assert.deepEqual(
      helped.map(({ workloadId }) => workloadId),
      helps,
    )
  })
}

test('the first change is taken up at once, later ones ever more seldom, at most ten seconds apart', () => {
  const waiting = new WaitingReplicas()
  const waits: number[] = []
  for (let tries = 0; tries < 12; tries++) {
    waiting.add([{ id: 'l-1', kind: large, filters: ['resources'] }], 1_000)
    const woken = waiting.wake(large, 1_000)
    waits.push(typeof woken === 'number' ? woken : 0)
  }
  assert.deepEqual(
    waits,
    [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000],
  )
  assert.deepEqual(waiting.wake(large, 11_000), ['l-1'])
})

test('a kind is forgotten with its last replica, and its failures with it', () => {
  const waiting = waitingOf(['l-1', large, ['resources']], ['l-2', large, ['resources']])
  assert.equal(waiting.size, 2)
  waiting.remove('l-1')
  waiting.remove('l-1')
  assert.ok(!waiting.has('l-1') && waiting.has('l-2'))
  waiting.remove('l-2')
  assert.equal(waiting.size, 0)
  assert.deepEqual(waiting.helpedBy({ ...nothing, everything: true }, tableOf(big)), [])
  assert.deepEqual(waiting.wake(large, 0), [])
})

test('so many kinds and nodes that asking costs more than trying wake everything', () => {
  const waiting = new WaitingReplicas()
  const kinds = Array.from({ length: 300 }, (_, n) => aKind({ ...large, workloadId: `w${n}` }))
  waiting.add(
    kinds.map((kind, n) => ({ id: `r-${n}`, kind, filters: ['resources'] })),
    0,
  )
  const names = Array.from({ length: 100 }, (_, n) => `n${n}`)
  assert.equal(waiting.helpedBy(changed(...names), tableOf(small)).length, 300)
})
