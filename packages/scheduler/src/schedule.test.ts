import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { explain } from './explain.ts'
import {
  noResources,
  type NodeView,
  type PendingReplica,
  type Placement,
  type ReplicaKind,
  type Resources,
  type Verdict,
} from './model.ts'
import { schedule } from './schedule.ts'
import { anyHistory } from './test-arbitraries.ts'
import { TruthfulCluster } from './test-cluster.ts'
import {
  aKind,
  aNode,
  aReplica,
  gibibyte,
  pendingOf,
  placed,
  replicas,
  tableOf,
} from './test-views.ts'

/** "a a b": the node of each replica by its name, "-" for those without. */
function nodesOf(placements: readonly Placement[]): string {
  return placements
    .map((placement) => (placement.kind === 'placed' ? placement.nodeId.replace('node-', '') : '-'))
    .join(' ')
}

const small: Resources = { ...noResources, cpuMillis: 1_000, memoryBytes: gibibyte }

function withRoom(
  name: string,
  room: Partial<Resources>,
  changes: Partial<NodeView> = {},
): NodeView {
  const node = aNode(name, changes)
  return { ...node, allocatable: { ...node.allocatable, ...room } }
}

describe('a batch', () => {
  it('fills a node to the brim and not beyond', () => {
    const table = tableOf([withRoom('a', { cpuMillis: 2_000 })])
    assert.equal(nodesOf(schedule(table, replicas(3, { requests: small }))), 'a a -')
  })

  it('is decided the larger first, so that more fits', () => {
    const table = tableOf([
      withRoom('a', { cpuMillis: 3_000 }),
      withRoom('b', { cpuMillis: 1_000 }),
    ])
    const large = aReplica('large', { requests: { ...small, cpuMillis: 3_000 } })
    const placements = schedule(table, [aReplica('small', { requests: small }), large])
    assert.deepEqual(
      placements.map(({ replicaId }) => replicaId),
      ['large', 'small'],
    )
    assert.equal(nodesOf(placements), 'a b')
  })

  it('is decided in the order given where sizes are equal', () => {
    const pending = ['c', 'a', 'b'].map((id) => aReplica(id))
    const placements = schedule(tableOf([aNode('a')]), pending)
    assert.deepEqual(
      placements.map(({ replicaId }) => replicaId),
      ['c', 'a', 'b'],
    )
  })

  it('gives the last room to the highest priority, however small', () => {
    const table = tableOf([withRoom('a', { cpuMillis: 1_000 })])
    const pending = [
      aReplica('low', { requests: small }),
      aReplica('high', { requests: { ...noResources, cpuMillis: 500 }, priority: 5 }),
    ]
    const [first, second] = schedule(table, pending)
    assert.deepEqual([first?.replicaId, first?.kind], ['high', 'placed'])
    assert.deepEqual([second?.replicaId, second?.kind], ['low', 'unplaceable'])
  })

  it('gives a host port once', () => {
    const pending = replicas(3, { hostPorts: ['80/TCP'] })
    const placements = schedule(tableOf([aNode('a'), aNode('b')]), pending)
    assert.deepEqual(nodesOf(placements).split(' ').sort(), ['-', 'a', 'b'])
  })

  const toOwn = {
    subject: 'workload',
    matchLabels: { app: 'web' },
    required: true,
    weight: 1,
  } as const
  it('is kept apart when its replicas shun their own kind', () => {
    const table = tableOf([aNode('a'), aNode('b'), aNode('c', { zone: 'zone-c' })])
    const antiAffinity = [{ ...toOwn, topologyKey: 'zone' }]
    assert.match(nodesOf(schedule(table, replicas(3, { antiAffinity }))), /^([ab] c|c [ab]) -$/)
  })
  it('is kept together when its replicas want their own kind', () => {
    const affinity = [{ ...toOwn, topologyKey: 'node' }]
    assert.equal(
      nodesOf(schedule(tableOf([aNode('a'), aNode('b')]), replicas(4, { affinity }))),
      'a a a a',
    )
  })
  it('is kept level over zones', () => {
    const table = tableOf([
      aNode('a'),
      aNode('b', { zone: 'zone-b' }),
      aNode('c', { zone: 'zone-c' }),
    ])
    const topologySpread = [
      { topologyKey: 'zone', maxSkew: 1, minDomains: 0, required: true, matchLabels: {} },
    ]
    const nodes = nodesOf(schedule(table, replicas(6, { topologySpread }))).split(' ')
    assert.deepEqual(nodes.slice(0, 3).sort(), ['a', 'b', 'c'])
    assert.deepEqual(nodes.slice(3).sort(), ['a', 'b', 'c'])
  })

  it('does not send a replica where it was moved off', () => {
    const table = tableOf([aNode('a'), aNode('b')])
    assert.equal(nodesOf(schedule(table, [pendingOf('web-1', aKind(), ['node-a'])])), 'b')
    assert.equal(nodesOf(schedule(table, [pendingOf('web-1', aKind(), ['node-a', 'node-b'])])), '-')
    assert.equal(nodesOf(schedule(table, [pendingOf('web-1', aKind(), ['node-gone'])])), 'a')
  })

  it('takes back what a replica that is on the table holds before it is placed again', () => {
    const whole = { requests: { ...noResources, cpuMillis: 4_000 }, hostPorts: ['80/TCP'] }
    const table = tableOf([aNode('a')], [placed('web-1', 'a', whole)])
    assert.equal(nodesOf(schedule(table, [aReplica('web-1', whole)])), 'a')
    assert.equal(nodesOf(schedule(table, [aReplica('web-2', whole)])), '-')
  })

  it('says why, with every node counted', () => {
    const table = tableOf([
      withRoom('a', noResources),
      aNode('b', { phase: 'cordoned' }),
      withRoom('c', noResources),
    ])
    assert.deepEqual(schedule(table, replicas(1)), [
      {
        kind: 'unplaceable',
        replicaId: 'web-0',
        nodeCount: 3,
        rejections: [
          { reason: 'not enough CPU', nodeCount: 2 },
          { reason: 'cordoned', nodeCount: 1 },
        ],
        filters: ['phase', 'resources'],
      },
    ])
  })

  it('says the same of every replica that is refused, under its own name', () => {
    const table = tableOf([withRoom('a', { cpuMillis: 500 })])
    const placements = schedule(table, replicas(3))
    assert.deepEqual(
      placements.map(({ replicaId, kind }) => `${replicaId} ${kind}`),
      ['web-0 placed', 'web-1 unplaceable', 'web-2 unplaceable'],
    )
    const [, second, third] = placements
    assert.deepEqual({ ...third, replicaId: 'web-1' }, second)
  })

  it('asks again for one of the same kind that was not moved off where the one before was', () => {
    const kind = aKind()
    const pending = [pendingOf('one', kind, ['node-a']), pendingOf('two', kind)]
    assert.equal(nodesOf(schedule(tableOf([aNode('a')]), pending)), '- a')
  })

  it('has an answer without nodes and without replicas', () => {
    assert.deepEqual(schedule(tableOf([aNode('a')]), []), [])
    assert.equal(nodesOf(schedule(tableOf([]), replicas(2))), '- -')
  })

  it('does all of its work in a phase, for whoever times it, and decides the same', () => {
    const table = tableOf([aNode('a'), aNode('b')])
    const phases: string[] = []
    const placements = schedule(table, replicas(2, { requests: small }), {
      around: (phase, work) => {
        phases.push(phase)
        return work()
      },
    })
    assert.deepEqual(phases, ['filter', 'score', 'filter', 'score'])
    assert.deepEqual(placements, schedule(table, replicas(2, { requests: small })))
  })
})

describe('packing', () => {
  /** Scores differ by less than the tolerance: b is fuller, c the fullest, a empty. */
  const table = tableOf(
    [aNode('a'), aNode('b'), aNode('c')],
    [
      placed('x-1', 'b', { workloadId: 'x', requests: { ...noResources, cpuMillis: 100 } }),
      placed('x-2', 'c', { workloadId: 'x', requests: { ...noResources, cpuMillis: 200 } }),
    ],
  )
  const tiny = { requests: { ...noResources, cpuMillis: 100, memoryBytes: 2 ** 20 } }

  it('fills the fullest among equals', () => {
    assert.equal(nodesOf(schedule(table, replicas(1, { ...tiny, packing: 'binpack' }))), 'c')
  })
  it('by best fit does too', () => {
    assert.equal(nodesOf(schedule(table, replicas(1, { ...tiny, packing: 'best_fit' }))), 'c')
  })
  it('by spread takes the emptiest', () => {
    assert.equal(nodesOf(schedule(table, replicas(1, { ...tiny, packing: 'spread' }))), 'a')
  })

  it('takes a much better node before a fuller one, unless it is to fit best', () => {
    const shaky = tableOf(
      [aNode('a'), aNode('b', { reliability: 0.1 })],
      [placed('x', 'b', { workloadId: 'x', requests: small })],
    )
    assert.equal(nodesOf(schedule(shaky, replicas(1, tiny))), 'a')
    assert.equal(nodesOf(schedule(shaky, replicas(1, { ...tiny, packing: 'spread' }))), 'a')
    assert.equal(nodesOf(schedule(shaky, replicas(1, { ...tiny, packing: 'best_fit' }))), 'b')
  })

  it('takes the first by name where nothing else tells', () => {
    assert.equal(nodesOf(schedule(tableOf([aNode('b'), aNode('a'), aNode('c')]), replicas(1))), 'a')
  })
  it('takes the first by id of those of one name', () => {
    const twins = [aNode('b'), aNode('a')].map((node) => ({ ...node, name: 'twin' }))
    assert.equal(nodesOf(schedule(tableOf(twins), replicas(1))), 'a')
  })
})

describe('GPUs', () => {
  const gpus = (name: string, gpuCount: number, changes: Partial<NodeView> = {}): NodeView =>
    withRoom(name, { gpuCount }, { gpuModels: ['a100'], ...changes })
  const asking = (gpuCount: number): Partial<ReplicaKind> => ({
    requests: { ...small, cpuMillis: 100, gpuCount },
  })

  it('are given where the fewest are left over', () => {
    const table = tableOf([gpus('a', 8), gpus('b', 2), gpus('c', 4)])
    assert.equal(nodesOf(schedule(table, replicas(1, asking(2)))), 'b')
    assert.equal(nodesOf(schedule(table, replicas(1, asking(3)))), 'c')
    assert.equal(nodesOf(schedule(table, replicas(1, asking(8)))), 'a')
  })
  it('of common models are given first, so that rare ones are there for who names them', () => {
    const table = tableOf([
      gpus('a', 1, { gpuModels: ['h100'] }),
      gpus('b', 4, { gpuModels: ['t4'] }),
      gpus('c', 8, { gpuModels: ['t4'] }),
    ])
    assert.equal(nodesOf(schedule(table, replicas(1, asking(1)))), 'b')
    assert.equal(nodesOf(schedule(table, replicas(1, { ...asking(1), gpuModels: ['h100'] }))), 'a')
  })
  it('are given where the others stay of use', () => {
    const thin = gpus('a', 2)
    const lean = { ...thin, allocatable: { ...thin.allocatable, cpuMillis: 1_500 } }
    const kind = { requests: { ...noResources, cpuMillis: 1_000, gpuCount: 1 } }
    assert.equal(nodesOf(schedule(tableOf([lean, gpus('b', 4)]), replicas(1, kind))), 'b')
    assert.equal(nodesOf(schedule(tableOf([lean, gpus('b', 5)]), replicas(1, kind))), 'a')
  })
  it('weigh more than a score that is a little better, unless there are wishes', () => {
    const table = tableOf([gpus('a', 4, { reliability: 0.9 }), gpus('b', 1, { reliability: 0.6 })])
    assert.equal(nodesOf(schedule(table, replicas(1, asking(1)))), 'b')
    const wish = {
      subject: 'node',
      matchLabels: { disk: 'ssd' },
      topologyKey: 'node',
      required: false,
      weight: 1,
    } as const
    assert.equal(nodesOf(schedule(table, replicas(1, { ...asking(1), affinity: [wish] }))), 'a')
  })
  it('do not weigh more than a score that is much better', () => {
    const table = tableOf([gpus('a', 4), gpus('b', 1, { onBattery: true, batteryPercent: 10 })])
    assert.equal(nodesOf(schedule(table, replicas(1, asking(1)))), 'a')
  })
  it('already begun are finished first', () => {
    const table = tableOf(
      [gpus('a', 4), gpus('b', 4)],
      [placed('x', 'b', { ...asking(3), workloadId: 'x' })],
    )
    assert.equal(nodesOf(schedule(table, replicas(2, asking(1)))), 'b a')
  })
  it('are not stood in front of by those who use none', () => {
    const table = tableOf([gpus('a', 4), aNode('b'), gpus('c', 1)])
    assert.equal(nodesOf(schedule(table, replicas(1, asking(0)))), 'b')
  })
  it('in use are a good place for those who use none, when only such are left', () => {
    const table = tableOf(
      [gpus('a', 4), gpus('b', 4)],
      [placed('x', 'b', { ...asking(4), workloadId: 'x' })],
    )
    assert.equal(nodesOf(schedule(table, replicas(1, asking(0)))), 'b')
  })
})

describe('spreading', () => {
  const nodes = [
    aNode('a1', { zone: 'a' }),
    aNode('a2', { zone: 'a' }),
    aNode('b1', { zone: 'b' }),
    aNode('c1', { zone: 'c', region: 'away' }),
  ]
  const countBy = (placements: readonly Placement[], place: (node: NodeView) => string) => {
    const counts: Record<string, number> = {}
    for (const placement of placements) {
      const node = placement.kind === 'placed' && nodes.find(({ id }) => id === placement.nodeId)
      if (node) counts[place(node)] = (counts[place(node)] ?? 0) + 1
    }
    return counts
  }

  it('over nodes gives each one before any has two', () => {
    const placements = schedule(tableOf(nodes), replicas(6, { spreadTopology: 'node' }))
    assert.deepEqual(Object.values(countBy(placements, ({ name }) => name)).sort(), [1, 1, 2, 2])
  })
  it('over zones gives each zone the same, and their nodes too', () => {
    const placements = schedule(tableOf(nodes), replicas(6, { spreadTopology: 'zone' }))
    assert.deepEqual(
      countBy(placements, ({ name }) => name),
      { a1: 1, a2: 1, b1: 2, c1: 2 },
    )
  })
  it('over regions gives each region the same', () => {
    const placements = schedule(tableOf(nodes), replicas(6, { spreadTopology: 'region' }))
    assert.deepEqual(
      countBy(placements, ({ region }) => region),
      { home: 3, away: 3 },
    )
  })
  it('counts what runs already, and not what leaves', () => {
    const taken = ['a1', 'a2', 'c1'].map((name) => placed(`web-${name}`, name))
    const table = tableOf(nodes, [...taken, placed('web-old', 'b1', {}, 'leaving')])
    assert.equal(nodesOf(schedule(table, replicas(1, { spreadTopology: 'node' }))), 'b1')
  })
  it('is stronger than the score and weaker than a filter', () => {
    const shaky = nodes.map((node) => (node.name === 'b1' ? { ...node, reliability: 0 } : node))
    const taken = ['a1', 'c1'].map((name) => placed(`web-${name}`, name))
    assert.equal(
      nodesOf(schedule(tableOf(shaky, taken), replicas(1, { spreadTopology: 'zone' }))),
      'b1',
    )
    const full = shaky.map((node) =>
      node.name === 'b1' ? { ...node, allocatable: noResources } : node,
    )
    assert.notEqual(
      nodesOf(schedule(tableOf(full, taken), replicas(1, { spreadTopology: 'zone' }))),
      '-',
    )
  })
  it('goes on in the places that are left', () => {
    const left = nodes.map((node) =>
      node.zone === 'a' ? node : { ...node, phase: 'offline' as const },
    )
    const placements = schedule(tableOf(left), replicas(4, { spreadTopology: 'zone' }))
    assert.deepEqual(
      countBy(placements, ({ name }) => name),
      { a1: 2, a2: 2 },
    )
  })
  it('packs within the place: with spread, pack', () => {
    const table = tableOf(nodes, [placed('x', 'a2', { workloadId: 'x', requests: small })])
    assert.match(nodesOf(schedule(table, replicas(3, { spreadTopology: 'zone' }))), /a2/)
  })
})

describe('the node chosen', () => {
  it('is the one the rules name, whatever the cluster', () => {
    fc.assert(
      fc.property(anyHistory, ({ changes, kinds }) => {
        const cluster = new TruthfulCluster()
        for (const change of changes) cluster.apply(change)
        for (const kind of kinds) {
          const pending = pendingOf('new', kind)
          const [placement] = schedule(cluster.table, [pending])
          assert.equal(
            placement?.kind === 'placed' ? placement.nodeId : undefined,
            plainChoice(cluster, pending),
          )
        }
      }),
      { numRuns: 300 },
    )
  })
})

/** By the verdicts that are told: the fewest in place, near the best score, the GPUs, what is left, the name. */
function plainChoice(cluster: TruthfulCluster, pending: PendingReplica): string | undefined {
  const { kind } = pending
  const { replicas } = cluster.truth
  const isFeasible = (verdict: Verdict) => verdict.kind === 'feasible'
  let left = explain(cluster.table, pending).filter(isFeasible)
  const keepLeast = (of: (verdict: (typeof left)[number]) => number): void => {
    const least = Math.min(...left.map(of))
    left = left.filter((verdict) => of(verdict) === least)
  }
  const nodeOf = ({ nodeId }: Verdict): NodeView => cluster.table.node(nodeId)!
  if (kind.spreadTopology !== '') {
    keepLeast(({ replicasInPlace }) => replicasInPlace)
    keepLeast(
      ({ nodeId }) =>
        replicas.filter(
          (replica) =>
            replica.holding === 'holding' &&
            replica.nodeId === nodeId &&
            replica.kind.workloadId === kind.workloadId,
        ).length,
    )
  }
  const best = Math.max(...left.map(({ score }) => score))
  const isWishing = [...kind.affinity, ...kind.antiAffinity, ...kind.topologySpread].some(
    ({ required }) => !required,
  )
  const tolerance = kind.requests.gpuCount > 0 && !isWishing ? 0.15 : 0.05
  if (kind.packing !== 'best_fit') {
    left = left.filter(({ score }) => score >= best - tolerance - 1e-9)
  }
  const freeOn = (verdict: Verdict, name: keyof Resources): number =>
    nodeOf(verdict).allocatable[name] - cluster.table.reservedOn(verdict.nodeId)[name]
  const { requests } = kind
  const gpusLeft = (verdict: Verdict): number =>
    nodeOf(verdict).allocatable.gpuCount === 0 ? 0 : freeOn(verdict, 'gpuCount') - requests.gpuCount
  if (requests.gpuCount > 0) {
    const modelsOf = (verdict: Verdict): string => nodeOf(verdict).gpuModels.join()
    keepLeast((verdict) => {
      const alike = cluster.truth.nodes.filter(
        (node) => node.gpuModels.join() === modelsOf(verdict),
      )
      return -alike.length
    })
    keepLeast((verdict) => {
      const others = (['cpuMillis', 'memoryBytes', 'gpuCount'] as const)
        .filter((name) => requests[name] > 0)
        .map((name) => Math.floor((freeOn(verdict, name) - requests[name]) / requests[name]))
      return gpusLeft(verdict) - Math.min(...others) * requests.gpuCount
    })
  }
  keepLeast(gpusLeft)
  const sign = kind.packing === 'spread' ? -1 : 1
  keepLeast(
    (verdict) =>
      sign *
      (freeOn(verdict, 'cpuMillis') +
        freeOn(verdict, 'memoryBytes') / 2 ** 20 +
        freeOn(verdict, 'storageBytes') / 2 ** 30),
  )
  const byName = (a: Verdict, b: Verdict): number => {
    const [one, other] = [a, b].map((verdict) =>
      JSON.stringify([nodeOf(verdict).name, verdict.nodeId]),
    )
    return one! < other! ? -1 : 1
  }
  return left.sort(byName)[0]?.nodeId
}
