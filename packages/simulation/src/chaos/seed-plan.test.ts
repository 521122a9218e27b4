import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { faultKinds } from './faults.ts'
import { operationKinds } from './operations.ts'
import { drawPlan, type SeedPlan } from './seed-plan.ts'
import { strategies, workloadTypes } from './workload-draws.ts'

const plans = Array.from({ length: 500 }, (_, n) => drawPlan(n + 1))

function shareOf(holds: (plan: SeedPlan) => boolean): number {
  return plans.filter(holds).length / plans.length
}

/** A naive generator ruins a swarm: what is hardly ever drawn is hardly ever tested. */
describe('what seeds draw', () => {
  it('has every kind of fault in a fifth of them at least, and in half at most', () => {
    for (const kind of faultKinds) {
      const share = shareOf(({ faults }) => faults.has(kind))
      assert.ok(share > 0.2 && share < 0.5, `${kind}: ${share}`)
    }
  })

  it('has everything that users do in a third of them at least', () => {
    for (const kind of operationKinds) {
      assert.ok(shareOf(({ operations }) => operations.has(kind)) > 0.33, kind)
    }
  })

  it('has every strategy in a quarter of them at least', () => {
    for (const strategy of strategies) {
      const share = shareOf(({ workloads }) => workloads.some((w) => w.strategy === strategy))
      assert.ok(share > 0.25, `${strategy}: ${share}`)
    }
  })

  it('has every type of workload in a quarter of them at least', () => {
    for (const type of workloadTypes) {
      const share = shareOf(({ workloads }) => workloads.some((w) => w.type === type))
      assert.ok(share > 0.25, `${type}: ${share}`)
    }
  })

  it('has clusters of every size from one node to nine', () => {
    for (let size = 1; size <= 9; size++) {
      assert.ok(shareOf(({ nodes }) => nodes.length === size) > 0.05, `${size} nodes`)
    }
  })

  it('has seeds without a fault, and seeds with ten kinds of them', () => {
    assert.ok(plans.some(({ faults }) => faults.size <= 2))
    assert.ok(plans.some(({ faults }) => faults.size >= 10))
  })

  it('asks for no more than the cluster has room for twice', () => {
    for (const { nodes, workloads } of plans) {
      const has = nodes.reduce((sum, node) => sum + node.cpuMillicores!, 0)
      const asks = workloads.reduce((sum, w) => sum + w.cpuMillicores * w.replicas, 0)
      assert.ok(2 * asks <= has, `${asks} of ${has} millicores`)
    }
  })

  it('draws the same for the same seed', () => {
    assert.deepEqual(drawPlan(7), drawPlan(7))
  })
})
