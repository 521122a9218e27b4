import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { addResources, fits } from './capacity.ts'
import {
  noResources,
  type NodeView,
  type PendingReplica,
  type Placement,
  type Resources,
} from './model.ts'
import { schedule } from './schedule.ts'
import { aNode, aReplica, gibibyte, replicas } from './test-views.ts'

/** "a a b": the node of each replica by its name, "-" for those without. */
function nodesOf(placements: readonly Placement[]): string {
  return placements
    .map((placement) => (placement.kind === 'placed' ? placement.nodeId.replace('node-', '') : '-'))
    .join(' ')
}

const small = { ...noResources, cpuMillis: 1_000, memoryBytes: gibibyte }

describe('placing', () => {
  it('packs replicas onto the fullest node that is not crowded', () => {
    const nodes = [aNode('a'), aNode('b', { reserved: small })]
    assert.equal(nodesOf(schedule(nodes, replicas(2, { requests: small }))), 'b b')
  })

  it('does all of its work in a phase, for whoever times it, and decides the same', () => {
    const nodes = [aNode('a'), aNode('b')]
    const phases = new Set<string>()
    const placements = schedule(nodes, replicas(3, { requests: small }), {
      around: (phase, work) => {
        phases.add(phase)
        return work()
      },
    })
    assert.deepEqual([...phases], ['filter', 'score'])
    assert.deepEqual(placements, schedule(nodes, replicas(3, { requests: small })))
  })

  it('fills a node to the brim and not beyond', () => {
    const nodes = [aNode('a', { allocatable: { ...aNode('a').allocatable, cpuMillis: 2_500 } })]
    assert.equal(nodesOf(schedule(nodes, replicas(3, { requests: small }))), 'a a -')
  })

  it('puts the larger first, so that more fits', () => {
    const nodes = [
      aNode('a', { allocatable: { ...aNode('a').allocatable, cpuMillis: 3_000 } }),
      aNode('b', { allocatable: { ...aNode('b').allocatable, cpuMillis: 1_000 } }),
    ]
    const large = aReplica('large', { requests: { ...small, cpuMillis: 3_000 } })
    const placements = schedule(nodes, [aReplica('small', { requests: small }), large])
    assert.deepEqual(
      placements.map(({ replicaId }) => replicaId),
      ['large', 'small'],
    )
    assert.equal(nodesOf(placements), 'a b')
  })

  it('gives the last room to the highest priority', () => {
    const nodes = [aNode('a', { allocatable: { ...aNode('a').allocatable, cpuMillis: 1_000 } })]
    const pending = [
      aReplica('low', { requests: small, workloadId: 'w1' }),
      aReplica('high', { requests: small, workloadId: 'w2', priority: 5 }),
    ]
    const [first, second] = schedule(nodes, pending)
    assert.deepEqual([first?.replicaId, first?.kind], ['high', 'placed'])
    assert.deepEqual([second?.replicaId, second?.kind], ['low', 'unplaceable'])
  })

  it('gives a host port once', () => {
    const pending = replicas(3, { hostPorts: ['80/TCP'] })
    assert.equal(
      nodesOf(schedule([aNode('a'), aNode('b')], pending))
        .split(' ')
        .sort()
        .join(' '),
      '- a b',
    )
  })

  it('keeps replicas apart that shun their own kind', () => {
    const shun = {
      subject: 'workload',
      matchLabels: { app: 'web' },
      topologyKey: 'zone',
      required: true,
      weight: 1,
    } as const
    const nodes = [aNode('a'), aNode('b'), aNode('c', { zone: 'zone-c' })]
    const placements = schedule(nodes, replicas(3, { antiAffinity: [shun] }))
    assert.deepEqual(
      placements.map(({ kind }) => kind),
      ['placed', 'placed', 'unplaceable'],
    )
    const [first, second] = placements
    assert.ok(first?.kind === 'placed' && second?.kind === 'placed')
    assert.equal([first.nodeId, second.nodeId].filter((id) => id === 'node-c').length, 1)
  })

  it('keeps replicas together that want their own kind', () => {
    const want = {
      subject: 'workload',
      matchLabels: { app: 'web' },
      topologyKey: 'node',
      required: true,
      weight: 1,
    } as const
    const placed = nodesOf(schedule([aNode('a'), aNode('b')], replicas(4, { affinity: [want] })))
    assert.match(placed, /^(a a a a|b b b b)$/)
  })

  it('does not stack replicas where scores are equal', () => {
    const web = { id: 'web-0', workloadId: 'default-web', labels: { app: 'web' } }
    const other = { id: 'x-0', workloadId: 'default-x', labels: {} }
    const nodes = [aNode('a', { replicas: [web] }), aNode('b', { replicas: [other] })]
    assert.equal(nodesOf(schedule(nodes, replicas(1, { requests: noResources }))), 'b')
  })

  it('takes the first by name where nothing else tells', () => {
    assert.equal(nodesOf(schedule([aNode('b'), aNode('a')], replicas(1))), 'a')
  })

  it('says why, with every node counted', () => {
    const nodes = [
      aNode('a', { allocatable: noResources }),
      aNode('b', { phase: 'cordoned' }),
      aNode('c', { allocatable: noResources }),
    ]
    assert.deepEqual(schedule(nodes, replicas(1)), [
      {
        kind: 'unplaceable',
        replicaId: 'web-0',
        nodeCount: 3,
        rejections: [
          { reason: 'not enough CPU', nodeCount: 2 },
          { reason: 'cordoned', nodeCount: 1 },
        ],
      },
    ])
  })

  it('has an answer without nodes and without replicas', () => {
    assert.deepEqual(schedule([aNode('a')], []), [])
    assert.equal(nodesOf(schedule([], replicas(2))), '- -')
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
    const placements = schedule(nodes, replicas(6, { spreadTopology: 'node' }))
    const counts = Object.values(countBy(placements, ({ name }) => name)).sort()
    assert.deepEqual(counts, [1, 1, 2, 2])
  })

  it('over zones gives each zone the same, and their nodes too', () => {
    const placements = schedule(nodes, replicas(6, { spreadTopology: 'zone' }))
    assert.deepEqual(
      countBy(placements, ({ zone }) => zone),
      { a: 2, b: 2, c: 2 },
    )
    assert.deepEqual(
      countBy(placements, ({ name }) => name),
      { a1: 1, a2: 1, b1: 2, c1: 2 },
    )
  })

  it('over regions gives each region the same', () => {
    const placements = schedule(nodes, replicas(6, { spreadTopology: 'region' }))
    assert.deepEqual(
      countBy(placements, ({ region }) => region),
      { home: 3, away: 3 },
    )
  })

  it('counts what runs already', () => {
    const web = { id: 'web-x', workloadId: 'default-web', labels: {} }
    const taken = nodes.map((node) => (node.name === 'b1' ? node : { ...node, replicas: [web] }))
    assert.equal(nodesOf(schedule(taken, replicas(1, { spreadTopology: 'node' }))), 'b1')
  })

  it('goes on in the places that are left', () => {
    const left = nodes.map((node) =>
      node.zone === 'a' ? node : { ...node, phase: 'offline' as const },
    )
    const placements = schedule(left, replicas(4, { spreadTopology: 'zone' }))
    assert.deepEqual(
      countBy(placements, ({ name }) => name),
      { a1: 2, a2: 2 },
    )
  })
})

describe('any cluster and any batch', () => {
  const amount = (max: number) => fc.integer({ min: 0, max })
  const resources = (max: number): fc.Arbitrary<Resources> =>
    fc.record(
      {
        cpuMillis: amount(max),
        memoryBytes: amount(max),
        storageBytes: amount(max),
        bandwidthBps: amount(max),
        gpuCount: amount(2),
      },
      { noNullPrototype: true },
    )
  const zone = fc.constantFrom('a', 'b', 'c')
  const clusters = fc
    .array(
      fc.record({
        allocatable: resources(20),
        reserved: resources(10),
        phase: fc.constantFrom('ready', 'ready', 'ready', 'cordoned', 'offline'),
        zone,
        labels: fc.constantFrom({}, { disk: 'ssd' }),
        reliability: fc.double({ min: 0, max: 1, noNaN: true }),
        taints: fc.constantFrom([], [{ key: 't', value: '', effect: 'NoSchedule' as const }]),
      }),
      { maxLength: 8 },
    )
    .map((list) => list.map((node, n) => aNode(`n${n}`, node as Partial<NodeView>)))
  const term = fc.record({
    subject: fc.constantFrom('node' as const, 'workload' as const),
    matchLabels: fc.constantFrom({ app: 'w1' }, { disk: 'ssd' }),
    topologyKey: fc.constantFrom('node', 'zone'),
    required: fc.boolean(),
    weight: fc.integer({ min: 1, max: 100 }),
  })
  const batches = fc
    .array(
      fc.record({
        workload: fc.constantFrom('w1', 'w2'),
        requests: resources(8),
        priority: amount(2),
        zones: fc.array(zone, { maxLength: 2 }),
        spreadTopology: fc.constantFrom('', 'node', 'zone'),
        hostPorts: fc.constantFrom([], ['80/TCP']),
        antiAffinity: fc.array(term, { maxLength: 1 }),
      }),
      { maxLength: 12 },
    )
    .map((list) =>
      list.map(({ workload, ...changes }, n) =>
        aReplica(`r${n}`, {
          ...(changes as Partial<PendingReplica>),
          workloadId: workload,
          labels: { app: workload },
        }),
      ),
    )

  it('is never overcommitted by it, nor given a port twice', () => {
    fc.assert(
      fc.property(clusters, batches, (nodes, pending) => {
        const reserved = new Map(nodes.map((node) => [node.id, node.reserved]))
        const ports = new Set<string>()
        for (const placement of schedule(nodes, pending)) {
          if (placement.kind === 'unplaceable') continue
          const node = nodes.find(({ id }) => id === placement.nodeId)!
          const replica = pending.find(({ id }) => id === placement.replicaId)!
          assert.equal(node.phase, 'ready')
          assert.ok(fits(node.allocatable, reserved.get(node.id)!, replica.requests))
          reserved.set(node.id, addResources(reserved.get(node.id)!, replica.requests))
          for (const port of replica.hostPorts) {
            assert.ok(!ports.has(`${node.id} ${port}`))
            ports.add(`${node.id} ${port}`)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('is answered for every replica once, by priority, with every node counted', () => {
    fc.assert(
      fc.property(clusters, batches, (nodes, pending) => {
        const placements = schedule(nodes, pending)
        assert.deepEqual(
          placements.map(({ replicaId }) => replicaId).sort(),
          pending.map(({ id }) => id).sort(),
        )
        const priorities = placements.map(
          ({ replicaId }) => pending.find(({ id }) => id === replicaId)!.priority,
        )
        assert.deepEqual(
          priorities,
          priorities.toSorted((a, b) => b - a),
        )
        for (const placement of placements) {
          if (placement.kind === 'placed') continue
          const counts = placement.rejections.map(({ nodeCount }) => nodeCount)
          assert.equal(
            counts.reduce((sum, count) => sum + count, 0),
            nodes.length,
          )
        }
      }),
      { numRuns: 500 },
    )
  })

  it('is answered the same each time, and left as it was', () => {
    fc.assert(
      fc.property(clusters, batches, (nodes, pending) => {
        const before = structuredClone({ nodes, pending })
        const first = schedule(nodes, pending)
        assert.deepEqual(schedule(nodes, pending), first)
        assert.deepEqual(structuredClone({ nodes, pending }), before)
      }),
    )
  })

  it('is answered as if the replicas had come one by one', () => {
    fc.assert(
      fc.property(clusters, batches, (nodes, pending) => {
        let views = nodes
        for (const placement of schedule(nodes, pending)) {
          const replica = pending.find(({ id }) => id === placement.replicaId)!
          assert.deepEqual(schedule(views, [replica]), [placement])
          if (placement.kind === 'unplaceable') continue
          const { id, workloadId, labels, requests, hostPorts } = replica
          views = views.map((node) =>
            node.id !== placement.nodeId
              ? node
              : {
                  ...node,
                  reserved: addResources(node.reserved, requests),
                  hostPorts: new Set([...node.hostPorts, ...hostPorts]),
                  replicas: [...node.replicas, { id, workloadId, labels }],
                },
          )
        }
      }),
      { numRuns: 300 },
    )
  })
})
