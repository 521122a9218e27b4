/**
 * Goal: whatever nodes are cut off, come back or boot, and whenever they say hello, exactly as many replicas as are wanted
 * stay, every other one is told to stop, and none that was told so comes back.
 * Method: the pure decisions of the control plane over a small cluster in memory, in any order that fast-check draws.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { nodeIds, PureCluster } from '../testing/pure-cluster.ts'

const node = fc.integer({ min: 0, max: nodeIds.length - 1 }).map((n) => nodeIds[n]!)
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('lose', 'hello', 'boot', 'obey', 'settleDown'), node }),
  fc.record({ kind: fc.constantFrom('plan', 'place', 'scale', 'update'), node }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function perform(cluster: PureCluster, { kind, node: nodeId }: Step): void {
  cluster.nowMs += 10
  const choice = nodeIds.indexOf(nodeId)
  switch (kind) {
    case 'plan':
      return void cluster.plan()
    case 'place':
      return cluster.place(choice)
    case 'scale':
      return cluster.scale(choice)
    case 'update':
      return cluster.update(choice)
    default:
      return cluster[kind as 'lose' | 'hello' | 'boot' | 'obey' | 'settleDown'](nodeId)
  }
}

for (const onReturn of ['original', 'replacement', 'best_placed', 'longest_running']) {
  test(`after any losses and returns exactly those that are wanted stay: ${onReturn}`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 60 }),
        (replicas, steps) => {
          const cluster = new PureCluster({ replicas, onDisconnect: { onReturn } })
          cluster.heal()
          for (const one of steps) {
            perform(cluster, one)
            cluster.check()
          }
          cluster.heal()
          cluster.check()
          const wanted = cluster.workload.workload!.spec!.replicas
          const left = [...cluster.replicas.keys()].sort()
          assert.equal(left.length, wanted)
          assert.equal(cluster.ready(), wanted)
          const running = [...cluster.containers.values()].flatMap((c) => [...c.keys()])
          assert.deepEqual(running.sort(), left, 'what runs is what is on record')
        },
      ),
      { numRuns: 400 },
    )
  })
}

test('a node that was cut off and is back has what it had, and nothing new is left of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), node, fc.boolean(), (replicas, away, isPlaced) => {
      const cluster = new PureCluster({ replicas })
      cluster.heal()
      const before = [...cluster.replicas.keys()].sort()
      cluster.lose(away)
      cluster.plan()
      if (isPlaced) for (let n = 0; n < replicas; n++) cluster.place(n)
      for (const nodeId of nodeIds) if (isPlaced) cluster.obey(nodeId)
      if (isPlaced) for (const nodeId of nodeIds) cluster.settleDown(nodeId)
      cluster.heal()
      assert.deepEqual([...cluster.replicas.keys()].sort(), before)
    }),
  )
})

test('what is kept for its node is not replaced while that is away, and goes on when it is back', () => {
  const cluster = new PureCluster({ replicas: 4, onDisconnect: { keep: true } })
  cluster.heal()
  const before = [...cluster.replicas.keys()].sort()
  cluster.lose('a')
  cluster.nowMs += 86_400_000
  for (let n = 0; n < 5; n++) cluster.plan()
  assert.deepEqual([...cluster.replicas.keys()].sort(), before)
  cluster.heal()
  assert.deepEqual([...cluster.replicas.keys()].sort(), before)
  assert.equal(cluster.ready(), 4)
})

test('what is to wait is replaced when its time is over', () => {
  const cluster = new PureCluster({ replicas: 4, onDisconnect: { replaceAfterMs: 60_000n } })
  cluster.heal()
  const [away] = [...cluster.containers].find(([, containers]) => containers.size > 0)!
  cluster.lose(away)
  cluster.nowMs += 59_000
  cluster.plan()
  assert.equal(cluster.replicas.size, 4)
  cluster.nowMs += 2_000
  cluster.plan()
  assert.ok(cluster.replicas.size > 4)
})
