import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterTable, noResources, type NodeView, type ReplicaKind } from '@cloudless/scheduler'
import { aKind, aNode } from '@cloudless/scheduler/testing'
import type { ViewChange } from './scheduler-view.ts'
import { WaitingReplicas } from './waiting-replicas.ts'

const nothing: ViewChange = {
  nodeIds: new Set(),
  replicasMoved: false,
  placesMoved: false,
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
    what: 'a node that is another place',
    change: { ...changed('small'), placesMoved: true },
    helps: ['near'],
  },
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
  const refused = (...ids: string[]) =>
    ids.map((id) => ({ id, kind: large, filters: ['resources'] }))
  // However many there are: nobody was tried in vain yet.
  for (let n = 0; n < 100; n++) waiting.add(refused(`l-${n}`), 0)
  for (let n = 1; n < 100; n++) waiting.remove(`l-${n}`)
  const waits: number[] = []
  let nowMs = 0
  for (let tries = 0; tries < 10; tries++) {
    assert.deepEqual(waiting.wake(large, nowMs), ['l-0'])
    waiting.add(refused('l-0'), nowMs)
    const wait = waiting.wake(large, nowMs) as number
    waits.push(wait)
    nowMs += wait
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000])
  // One of them finds a place.
  waiting.add(refused('l-1'), nowMs)
  assert.deepEqual(waiting.wake(large, nowMs), ['l-0', 'l-1'])
  waiting.remove('l-1')
  waiting.add(refused('l-0'), nowMs)
  assert.deepEqual(waiting.wake(large, nowMs), ['l-0'])
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

test('a node that helps none of very many kinds wakes none, and so many nodes that asking takes long wake all', () => {
  const waiting = new WaitingReplicas()
  const kinds = Array.from({ length: 30_000 }, (_, n) => aKind({ ...large, workloadId: `w${n}` }))
  waiting.add(
    kinds.map((kind, n) => ({ id: `r-${n}`, kind, filters: ['resources'] })),
    0,
  )
  assert.equal(waiting.helpedBy(changed('small'), tableOf(small)).length, 0)
  const names = Array.from({ length: 10 }, (_, n) => `n${n}`)
  assert.equal(waiting.helpedBy(changed(...names), tableOf(small)).length, 30_000)
})

test('some of a kind are tried first, and the others as long as some find a place', () => {
  const waiting = new WaitingReplicas()
  const refused = Array.from({ length: 600 }, (_, n) => ({
    id: `l-${n}`,
    kind: large,
    filters: ['resources'],
  }))
  waiting.add(refused, 0)
  const wake = (): readonly string[] => {
    const woken = waiting.wake(large, 0)
    return typeof woken === 'number' ? [] : woken
  }
  const first = wake()
  assert.deepEqual([first.length, first[0], waiting.size], [256, 'l-0', 344])
  assert.deepEqual(wake(), [], 'nobody else while they are out')
  for (const id of first) waiting.remove(id)
  assert.deepEqual(waiting.takeLucky(), [large])
  const second = wake()
  assert.deepEqual([second.length, second[0]], [256, 'l-256'])
  // One finds a place, the others do not.
  waiting.remove(second[0]!)
  waiting.add(refused.slice(257, 512), 0)
  assert.deepEqual(waiting.takeLucky(), [large])
  const third = wake()
  assert.deepEqual([third.length, third[0]], [256, 'l-512'], 'those that waited longest come first')
  waiting.add(
    third.map((id) => ({ id, kind: large, filters: ['resources'] })),
    0,
  )
  assert.deepEqual(waiting.takeLucky(), [], 'none of them was placed')
  assert.equal(waiting.size, 343)
})

test('one that is refused as another kind waits with those of that kind', () => {
  const waiting = waitingOf(['l-1', large, ['resources']])
  assert.deepEqual(waiting.wake(large, 0), ['l-1'])
  waiting.add([{ id: 'l-1', kind: ssd, filters: ['selector'] }], 0)
  assert.deepEqual(waiting.wake(large, 0), [])
  assert.equal(waiting.size, 1)
  assert.deepEqual(waiting.wake(ssd, 0), ['l-1'])
})
