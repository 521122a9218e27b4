/**
 * What holds of every decision, whatever the cluster, the replicas and what happened before: drawn at random, and
 * compared with a plain reference or with a table that was built anew.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { admit, explain } from './explain.ts'
import { factFilters, placeFilters, roomFilters } from './filters/all-filters.ts'
import type { PendingReplica, Placement, Resources } from './model.ts'
import { schedule } from './schedule.ts'
import { simulate } from './simulate.ts'
import { anyHistory, type History } from './test-arbitraries.ts'
import { assertSamePicture, refusalsOf, TruthfulCluster } from './test-cluster.ts'
import { plainFeasibility } from './test-reference.ts'
import { pendingOf } from './test-views.ts'

const runs = { numRuns: Number(process.env['RUNS'] ?? 300) }

function clusterAfter({ changes }: History): TruthfulCluster {
  const cluster = new TruthfulCluster()
  for (const change of changes) cluster.apply(change)
  return cluster
}

const excluded = ['node-n0', 'node-n3']

/** Three of each kind, one of them not for some nodes. */
function batchOf({ kinds }: History): PendingReplica[] {
  return kinds.flatMap((kind, n) => [
    pendingOf(`new-${n}-a`, kind),
    pendingOf(`new-${n}-b`, kind, excluded),
    pendingOf(`new-${n}-c`, kind),
  ])
}

describe('what is drawn', () => {
  it('has every filter refuse something, and leaves room often enough', () => {
    const filters = new Map<string, number>()
    let feasible = 0
    let verdicts = 0
    for (const history of fc.sample(anyHistory, { numRuns: 500, seed: 7 })) {
      const { table } = clusterAfter(history)
      for (const kind of history.kinds) {
        for (const verdict of explain(table, pendingOf('new', kind, excluded))) {
          verdicts++
          if (verdict.kind === 'feasible') feasible++
          else filters.set(verdict.filter, (filters.get(verdict.filter) ?? 0) + 1)
        }
      }
    }
    const all = [...factFilters, ...roomFilters, ...placeFilters].map(({ name }) => name)
    for (const name of [...all, 'excluded']) {
      assert.ok(
        (filters.get(name) ?? 0) >= 20,
        `${name} refused ${filters.get(name)} of ${verdicts}`,
      )
    }
    assert.ok(feasible / verdicts > 0.1, `${feasible} of ${verdicts} would do`)
  })
})

describe('after any history', () => {
  it('exactly the nodes are refused that a plain reference refuses, for the same reasons', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = clusterAfter(history)
        for (const kind of history.kinds) {
          for (const replica of [pendingOf('new', kind), pendingOf('r1', kind, excluded)]) {
            const verdicts = refusalsOf(explain(cluster.table, replica))
            const expected = plainFeasibility(cluster.truth, replica)
            assert.deepEqual(verdicts, expected)
          }
        }
      }),
      runs,
    )
  })

  it('a table says what one says that was built anew', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = clusterAfter(history)
        assertSamePicture(cluster.table, cluster.rebuilt(), history.kinds)
      }),
      runs,
    )
  })

  it('what was decided before makes no difference, at any point', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = new TruthfulCluster()
        for (const change of history.changes) {
          cluster.apply(change)
          if (change.do !== 'ask') continue
          const asked = [pendingOf('asked', change.kind)]
          assert.deepEqual(schedule(cluster.table, asked), schedule(cluster.rebuilt(), asked))
        }
      }),
      runs,
    )
  })

  it('deciding, explaining, admitting and simulating leave the table as it was', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = clusterAfter(history)
        const { table } = cluster
        const nodeIds = [...table.nodes()].slice(0, 2).map(({ id }) => id)
        schedule(table, batchOf(history))
        for (const kind of history.kinds) {
          explain(table, pendingOf('r1', kind))
          admit(table, pendingOf('r2', kind), 'node-n1')
        }
        simulate(table, nodeIds, 'loss')
        simulate(table, nodeIds, 'drain')
        assertSamePicture(table, cluster.rebuilt(), history.kinds)
      }),
      runs,
    )
  })

  it('a simulation depends on what is there and not on how it came', () => {
    fc.assert(
      fc.property(anyHistory, fc.constantFrom('loss', 'drain'), (history, kind) => {
        const cluster = clusterAfter(history)
        const nodeIds = ['node-n1', 'node-n2', 'node-n3']
        assert.deepEqual(
          simulate(cluster.table, nodeIds, kind),
          simulate(cluster.rebuilt(), nodeIds, kind),
        )
      }),
      runs,
    )
  })
})

describe('any batch', () => {
  it('goes only where nothing is refused, and nothing is overcommitted by it', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = clusterAfter(history)
        const pending = batchOf(history)
        const { nodes, replicas } = cluster.truth
        const held = [...replicas]
        for (const placement of schedule(cluster.table, pending)) {
          const replica = pending.find(({ id }) => id === placement.replicaId)!
          const refusals = plainFeasibility({ nodes, replicas: held }, replica)
          if (placement.kind === 'unplaceable') {
            assertAllRefused(placement, refusals)
            continue
          }
          assert.equal(refusals.get(placement.nodeId), undefined)
          const { kind } = replica
          held.push({ id: replica.id, nodeId: placement.nodeId, kind, holding: 'holding' })
          const node = nodes.find(({ id }) => id === placement.nodeId)!
          for (const name of Object.keys(kind.requests) as (keyof Resources)[]) {
            if (kind.requests[name] === 0) continue
            const taken = held
              .filter(({ nodeId }) => nodeId === node.id)
              .reduce((sum, { kind }) => sum + kind.requests[name], 0)
            assert.ok(taken <= node.allocatable[name], `${name} of ${node.id}`)
          }
        }
      }),
      runs,
    )
  })

  it('is answered for every replica once, by priority', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const pending = batchOf(history)
        const byId = new Map(pending.map((replica) => [replica.id, replica]))
        const answered = schedule(clusterAfter(history).table, pending).map(({ replicaId }) =>
          byId.get(replicaId)!,
        )
        assert.deepEqual(answered.map(({ id }) => id).sort(), [...byId.keys()].sort())
        const priorities = answered.map(({ kind }) => kind.priority)
        assert.deepEqual(
          priorities,
          priorities.toSorted((a, b) => b - a),
        )
      }),
      runs,
    )
  })

  it('is answered as if the replicas had come one by one', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = clusterAfter(history)
        const pending = batchOf(history)
        for (const placement of schedule(cluster.table, pending)) {
          const replica = pending.find(({ id }) => id === placement.replicaId)!
          assert.deepEqual(schedule(cluster.table, [replica]), [placement])
          if (placement.kind === 'unplaceable') continue
          const { id, kind } = replica
          const { nodeId } = placement
          cluster.apply({ do: 'putReplica', replica: { id, nodeId, kind, holding: 'holding' } })
        }
      }),
      runs,
    )
  })

  it('is committed as decided: what is admitted is what is feasible, always', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const cluster = clusterAfter(history)
        const { table } = cluster
        const pending = batchOf(history)
        for (const placement of schedule(table, pending)) {
          const replica = pending.find(({ id }) => id === placement.replicaId)!
          const refusals = plainFeasibility(cluster.truth, replica)
          for (const { id } of table.nodes()) {
            assert.equal(admit(table, replica, id), refusals.get(id)?.reason)
          }
          if (placement.kind === 'unplaceable') continue
          const { id, kind } = replica
          const { nodeId } = placement
          assert.equal(admit(table, replica, nodeId), undefined)
          cluster.apply({ do: 'putReplica', replica: { id, nodeId, kind, holding: 'holding' } })
        }
      }),
      runs,
    )
  })
})

function assertAllRefused(
  { nodeCount, rejections }: Extract<Placement, { kind: 'unplaceable' }>,
  refusals: ReturnType<typeof plainFeasibility>,
): void {
  assert.equal(nodeCount, refusals.size)
  const counts = new Map<string, number>()
  for (const refusal of refusals.values()) {
    assert.ok(refusal !== undefined, 'a node would have done')
    counts.set(refusal.reason, (counts.get(refusal.reason) ?? 0) + 1)
  }
  assert.deepEqual(
    new Map(rejections.map(({ reason, nodeCount }) => [reason, nodeCount])),
    counts.size <= 10 ? counts : undefined,
  )
}
