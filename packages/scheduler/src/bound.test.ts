/** Replicas that belong to one node, as daemons' do, and those that had better go to another. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { admit, explain, unsuitedTo } from './explain.ts'
import type { NodePhase, PendingReplica, Placement, ReplicaKind, Taint } from './model.ts'
import { planPreemption } from './preempt.ts'
import { schedule } from './schedule.ts'
import { simulate } from './simulate.ts'
import { aKind, aNode, pendingOf, placed, tableOf } from './test-views.ts'

const daemon = aKind({ isDaemon: true })

function bound(name: string, kind: ReplicaKind = daemon): PendingReplica {
  return { ...pendingOf(`new-${name}`, kind), boundNodeId: `node-${name}` }
}

function said(placement: Placement | undefined): string {
  if (placement?.kind === 'placed') return placement.nodeId
  const reasons = placement?.rejections.map(({ nodeCount, reason }) => `${nodeCount} ${reason}`)
  return `0 of ${placement?.nodeCount}: ${reasons?.join()}`
}

describe('a bound replica', () => {
  it('goes to its node, however good the others are', () => {
    const table = tableOf([aNode('a'), aNode('b', { reliability: 0.1 }), aNode('c')])
    const [placement] = schedule(table, [bound('b')])
    assert.equal(said(placement), 'node-b')
    assert.ok(placement?.kind === 'placed' && placement.score > 0)
  })

  it('is told of its own node only when that will not do', () => {
    const taint: Taint = { key: 'x', value: '', effect: 'NoSchedule' }
    const table = tableOf([aNode('a'), aNode('b', { taints: [taint] })])
    assert.equal(said(schedule(table, [bound('b')])[0]), '0 of 1: 1 tainted x')
    assert.equal(said(schedule(table, [bound('z')])[0]), '0 of 1: 1 its node is not in the cluster')
  })

  it('is not refused because another of its kind was, which is bound elsewhere', () => {
    const table = tableOf([aNode('a', { phase: 'offline' }), aNode('b')])
    assert.deepEqual(schedule(table, [bound('a'), bound('b')]).map(said), [
      '0 of 1: 1 offline',
      'node-b',
    ])
  })

  it('is explained by every node: its own, and those it is not meant for', () => {
    const table = tableOf([aNode('a'), aNode('b')])
    const verdicts = explain(table, bound('b'))
    assert.deepEqual(
      verdicts.map((one) => [one.nodeId, one.kind === 'rejected' ? one.reason : one.kind]),
      [
        ['node-b', 'feasible'],
        ['node-a', 'it is meant for another node'],
      ],
    )
    assert.equal(admit(table, bound('b'), 'node-a'), 'it is meant for another node')
    assert.equal(admit(table, bound('b'), 'node-b'), undefined)
  })

  it('has room made for it on its node only', () => {
    const all = { requests: { ...daemon.requests, cpuMillis: 4_000 } }
    const table = tableOf(
      [aNode('a'), aNode('b')],
      [placed('low-a', 'a', all), placed('low-b', 'b', all)],
    )
    const pending = bound('b', aKind({ ...all, isDaemon: true, priority: 10, workloadId: 'd' }))
    const plan = planPreemption(table, pending, { spareOf: () => 1 })
    assert.deepEqual([plan?.nodeId, plan?.victimIds], ['node-b', ['low-b']])
  })
})

describe('a daemon', () => {
  const phases: readonly [NodePhase, boolean][] = [
    ['ready', true],
    ['cordoned', true],
    ['draining', true],
    ['enrolling', false],
    ['offline', false],
    ['failed', false],
    ['unknown', false],
  ]
  for (const [phase, isTaken] of phases) {
    it(`${isTaken ? 'goes' : 'does not go'} to a node that is ${phase}`, () => {
      const table = tableOf([aNode('a', { phase })])
      assert.equal(schedule(table, [bound('a')])[0]?.kind === 'placed', isTaken)
    })
  }

  it('is not moved when its node is drained', () => {
    const table = tableOf([aNode('a'), aNode('b')], [placed('d', 'a', { isDaemon: true })])
    assert.deepEqual(simulate(table, ['node-a'], 'drain'), [])
  })

  it('suits a node by what the node is, and not by how it fares', () => {
    const kind = aKind({
      nodeSelector: { disk: 'ssd' },
      requests: { ...daemon.requests, storageBytes: 1 },
    })
    const ssd = { labels: { disk: 'ssd' } }
    const taint = (effect: Taint['effect']): Taint => ({ key: 'x', value: '', effect })
    const asks = (changes: Parameters<typeof aNode>[1], staying = false): string | undefined =>
      unsuitedTo(kind, aNode('a', changes), { staying })
    assert.equal(asks(ssd), undefined)
    assert.equal(asks({}), 'labels do not match the node selector')
    assert.equal(asks({ ...ssd, phase: 'offline', diskPressure: true }), undefined)
    assert.equal(asks({ ...ssd, taints: [taint('NoSchedule')] }), 'tainted x')
    assert.equal(asks({ ...ssd, taints: [taint('NoSchedule')] }, true), undefined)
    assert.equal(asks({ ...ssd, taints: [taint('NoExecute')] }, true), 'tainted x')
    assert.equal(asks({ ...ssd, taints: [taint('PreferNoSchedule')] }), undefined)
  })
})

it('a replica avoids the node where an attempt has failed, unless there is no other', () => {
  const replica = (name: string): PendingReplica => ({
    ...pendingOf(name, aKind()),
    avoidedNodeIds: ['node-a'],
  })
  const two = tableOf([aNode('a', { reliability: 1 }), aNode('b', { reliability: 0 })])
  assert.equal(said(schedule(two, [replica('n')])[0]), 'node-b')
  assert.equal(said(schedule(tableOf([aNode('a')]), [replica('n')])[0]), 'node-a')
})
