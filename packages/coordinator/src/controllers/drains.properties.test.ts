/**
 * Goal: no drain takes a workload below what it says must be available, and each ends where there is somewhere to go.
 * Method: drains of several nodes begin, are called off and meet scaling and updates, in any order that fast-check draws.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { minAvailableOf } from './plan-workload.ts'
import { nodeIds, PureCluster } from '../testing/pure-cluster.ts'

const node = fc.constantFrom(...nodeIds)
const kind = fc.constantFrom(
  ...(['drain', 'uncordon', 'evict', 'obey', 'settleDown', 'plan', 'place', 'update'] as const),
)
const rollout = fc.oneof(
  fc.constant({ maxSurge: 1, maxUnavailable: 0 }),
  fc.constant({ maxSurge: 0, maxUnavailable: 1 }),
  fc.constant({ maxSurge: 2, maxUnavailable: 1 }),
)
const history = fc.array(fc.record({ kind, node }), { maxLength: 60 })

test('a drain leaves as many ready as must be, whatever else goes on, and ends', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), rollout, history, (replicas, rollout, steps) => {
      const cluster = new PureCluster({ replicas, rollout })
      cluster.heal()
      const minimum = minAvailableOf(cluster.workload)
      for (const { kind, node } of steps) {
        // One node is always left to go to.
        if (kind === 'drain' && node === nodeIds[0]) continue
        if (kind === 'plan') cluster.plan()
        else if (kind === 'place' || kind === 'update') cluster[kind](nodeIds.indexOf(node))
        else cluster[kind](node)
        assert.ok(cluster.ready() >= minimum, `${cluster.ready()} of ${minimum} after ${kind}`)
      }
      cluster.heal()
      assert.equal(cluster.replicas.size, replicas)
      assert.equal(cluster.ready(), replicas)
      for (const { status, replaceWanted } of cluster.replicas.values()) {
        assert.ok(!cluster.isDrained(status!.nodeId), 'what is drained is empty')
        assert.ok(!replaceWanted, 'nothing is left marked')
      }
    }),
    { numRuns: 400 },
  )
})

test('a drain with nowhere to go stops nothing', () => {
  const cluster = new PureCluster({ replicas: 3 })
  cluster.heal()
  const before = new Set(cluster.replicas.keys())
  for (const nodeId of nodeIds) cluster.drain(nodeId)
  cluster.heal()
  assert.equal(cluster.ready(), 3)
  assert.ok([...before].every((id) => !cluster.replicas.get(id)!.stopping))
})

test('a drained node that dies and comes back goes on being drained', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(8), (replicas, progress) => {
      const cluster = new PureCluster({ replicas })
      cluster.heal()
      const [, drained] = nodeIds as [string, string]
      cluster.drain(drained)
      const steps = [
        () => cluster.evict(drained),
        () => cluster.plan(),
        () => cluster.place(1),
        () => nodeIds.forEach((id) => cluster.obey(id)),
        () => nodeIds.forEach((id) => cluster.settleDown(id)),
        () => cluster.plan(),
        () => cluster.obey(drained),
        () => cluster.plan(),
      ]
      for (const step of steps.slice(0, progress)) step()
      const moved = [...cluster.replicas.values()].filter(
        ({ status }) => status!.ready && status!.nodeId !== drained,
      )
      cluster.lose(drained)
      cluster.plan()
      cluster.heal()
      assert.equal(cluster.ready(), replicas)
      assert.equal(cluster.state.replicasOnNode(drained).length, 0)
      for (const { status } of moved) assert.ok(cluster.replicas.has(status!.id), 'stays moved')
    }),
  )
})

test('a drain that is called off drops what is not ready yet, and stops nothing that serves', () => {
  const cluster = new PureCluster({ replicas: 2 })
  cluster.heal()
  const before = [...cluster.replicas.keys()].sort()
  for (const nodeId of nodeIds.slice(1)) cluster.drain(nodeId)
  for (const nodeId of nodeIds) cluster.evict(nodeId)
  cluster.plan()
  cluster.place(0)
  for (const nodeId of nodeIds) cluster.obey(nodeId)
  assert.ok(cluster.replicas.size > 2, 'replacements are on their way')
  for (const nodeId of nodeIds) cluster.uncordon(nodeId)
  cluster.heal()
  assert.deepEqual([...cluster.replicas.keys()].sort(), before)
})
