import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { NodeView, ReplicaKind } from './model.ts'
import { schedule } from './schedule.ts'
import { TruthfulCluster } from './test-cluster.ts'
import { aKind, aNode, pendingOf } from './test-views.ts'

const gibibyte = 2 ** 30

const anyNode = fc
  .record({
    number: fc.nat(199),
    zone: fc.constantFrom('a', 'b', 'c', ''),
    cpuMillis: fc.constantFrom(1_000, 2_000, 8_000),
    gpuCount: fc.constantFrom(0, 0, 0, 1, 4),
    reliability: fc.constantFrom(0, 0.5, 0.8, 1),
    phase: fc.constantFrom('ready', 'ready', 'ready', 'cordoned'),
  })
  .map(({ number, cpuMillis, gpuCount, ...changes }): NodeView => {
    const { allocatable } = aNode('n')
    const has = { ...allocatable, cpuMillis, gpuCount, memoryBytes: 8 * gibibyte }
    return aNode(`n${number}`, { ...(changes as Partial<NodeView>), allocatable: has })
  })

const anyKind = fc
  .record({
    workload: fc.constantFrom('w1', 'w2'),
    cpuMillis: fc.constantFrom(0, 400, 900),
    gpuCount: fc.constantFrom(0, 0, 1),
    spreadTopology: fc.constantFrom('', 'node', 'zone'),
    packing: fc.constantFrom('binpack', 'best_fit', 'spread'),
  })
  .map(({ workload, cpuMillis, gpuCount, ...changes }): ReplicaKind => {
    const requests = { ...aKind().requests, cpuMillis, gpuCount }
    return aKind({
      workloadId: `default-${workload}`,
      ...(changes as Partial<ReplicaKind>),
      requests,
    })
  })

const change = (kinds: readonly ReplicaKind[]) =>
  fc.oneof(
    { weight: 1, arbitrary: anyNode.map((node) => ({ do: 'putNode' as const, node })) },
    {
      weight: 1,
      arbitrary: fc.nat(199).map((n) => ({ do: 'removeNode' as const, nodeId: `node-n${n}` })),
    },
    {
      weight: 2,
      arbitrary: fc.nat(80).map((n) => ({ do: 'removeReplica' as const, replicaId: `r${n}` })),
    },
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('place' as const),
        kind: fc.constantFrom(...kinds),
        replicaId: fc.nat(80).map((n) => `r${n}`),
      }),
    },
  )

const anyHistory = fc
  .uniqueArray(anyKind, { minLength: 1, maxLength: 3, selector: (kind) => JSON.stringify(kind) })
  .chain((kinds) =>
    fc.record({
      nodes: fc.array(anyNode, { minLength: 20, maxLength: 160 }),
      changes: fc.array(change(kinds), { minLength: 10, maxLength: 60 }),
    }),
  )

describe('the ranking of a kind', () => {
  it('chooses what a walk over all nodes would, after any history', () => {
    fc.assert(
      fc.property(anyHistory, ({ nodes, changes }) => {
        const cluster = new TruthfulCluster()
        for (const node of nodes) cluster.apply({ do: 'putNode', node })
        for (const change of changes) {
          if (change.do === 'place') {
            const pending = [pendingOf(change.replicaId, change.kind)]
            // A table that was never asked before has no ranking.
            assert.deepEqual(schedule(cluster.table, pending), schedule(cluster.rebuilt(), pending))
          }
          cluster.apply(change)
        }
      }),
      { numRuns: 60 },
    )
  })
})
