import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { noResources, type SimulatedMove } from './model.ts'
import { simulate } from './simulate.ts'
import { anyHistory } from './test-arbitraries.ts'
import { TruthfulCluster } from './test-cluster.ts'
import { plainFeasibility } from './test-reference.ts'
import { aNode, placed, tableOf } from './test-views.ts'

/** "web-1>b db-1>-". */
function movesOf(moves: readonly SimulatedMove[]): string {
  return moves
    .map(({ replica, placement }) => {
      const to = placement.kind === 'placed' ? placement.nodeId.replace('node-', '') : '-'
      return `${replica.id}>${to}`
    })
    .join(' ')
}

const half = { requests: { ...noResources, cpuMillis: 2_000 } }
const nodes = [aNode('a'), aNode('b'), aNode('c')]

describe('a simulation', () => {
  it('moves what is on the nodes to the others', () => {
    const table = tableOf(nodes, [placed('one', 'a', half), placed('two', 'b', half)])
    assert.equal(movesOf(simulate(table, ['node-a'], 'drain')), 'one>c')
    assert.equal(movesOf(simulate(table, ['node-a', 'node-b'], 'loss')), 'one>c two>c')
  })

  it('says first what would find no place', () => {
    const table = tableOf(nodes.slice(0, 2), [
      placed('one', 'a', half),
      placed('two', 'a', half),
      placed('three', 'b', half),
    ])
    const moves = simulate(table, ['node-a'], 'loss')
    assert.equal(movesOf(moves), 'two>- one>b')
    const [first] = moves
    assert.ok(first?.placement.kind === 'unplaceable')
    assert.deepEqual(first.placement.rejections, [
      { reason: 'not enough CPU', nodeCount: 1 },
      { reason: 'offline', nodeCount: 1 },
    ])
  })

  it('tells each node once, and nothing of nodes that are not there', () => {
    const table = tableOf(nodes, [placed('one', 'a', half)])
    assert.equal(movesOf(simulate(table, ['node-a', 'node-a', 'node-gone'], 'drain')), 'one>b')
    assert.deepEqual(simulate(table, ['node-gone'], 'loss'), [])
  })

  it('does not move what is leaving, nor what is only expected', () => {
    const table = tableOf(nodes, [
      placed('leaving', 'a', half, 'leaving'),
      placed('expected', 'a', half, 'nominated'),
    ])
    assert.deepEqual(simulate(table, ['node-a'], 'drain'), [])
  })

  const apart = {
    ...half,
    antiAffinity: [
      {
        subject: 'workload',
        matchLabels: { app: 'web' },
        topologyKey: 'zone',
        required: true,
        weight: 1,
      },
    ],
  } as const
  it('of a drain keeps what is drained until it is replaced, and so what it shuns away', () => {
    const table = tableOf(nodes, [placed('one', 'a', apart)])
    assert.equal(movesOf(simulate(table, ['node-a'], 'drain')), 'one>-')
    assert.equal(movesOf(simulate(table, ['node-a'], 'loss')), 'one>b')
  })

  it('moves each replica once, only to where nothing speaks against it, and the table stays', () => {
    fc.assert(
      fc.property(anyHistory, fc.constantFrom('loss', 'drain'), ({ changes }, kind) => {
        const cluster = new TruthfulCluster()
        for (const change of changes) cluster.apply(change)
        const gone = ['node-n0', 'node-n1']
        const { nodes, replicas } = cluster.truth
        const isMoving = ({ nodeId, holding }: (typeof replicas)[number]): boolean =>
          gone.includes(nodeId) && holding === 'holding'
        const moves = simulate(cluster.table, gone, kind)
        assert.deepEqual(
          moves.map(({ replica }) => replica.id).sort(),
          replicas
            .filter(isMoving)
            .map(({ id }) => id)
            .sort(),
        )
        const held = kind === 'loss' ? replicas.filter((replica) => !isMoving(replica)) : replicas
        for (const { replica, placement } of moves) {
          if (placement.kind === 'unplaceable') continue
          const pending = { id: 'successor', kind: replica.kind, excludedNodeIds: gone }
          // Beside the others that move it may be refused; without them it must not be, but for those it needs near.
          if (replica.kind.affinity.length + replica.kind.topologySpread.length > 0) continue
          const refusals = plainFeasibility({ nodes, replicas: held }, pending)
          assert.equal(refusals.get(placement.nodeId), undefined)
        }
        assert.equal(cluster.table.nodeCount, nodes.length)
      }),
      { numRuns: 300 },
    )
  })
})
