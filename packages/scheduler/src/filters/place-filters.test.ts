/** What the filters that look at what runs elsewhere say: affinity, anti-affinity and spread over places. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explain } from '../explain.ts'
import type { Affinity, NodeView, PlacedReplica, ReplicaKind, TopologySpread } from '../model.ts'
import { aKind, aNode, pendingOf, placed, tableOf } from '../test-views.ts'

const database: Affinity = {
  subject: 'workload',
  matchLabels: { app: 'db' },
  topologyKey: 'node',
  required: true,
  weight: 1,
}
const db = { workloadId: 'default-db', labels: { app: 'db' } }
const web = { workloadId: 'default-web', labels: { app: 'web' } }

/** Two in one zone and rack, one in another zone without a rack, one in another region. */
const nodes = [
  aNode('a', { labels: { rack: 'r1', disk: 'ssd' } }),
  aNode('b', { labels: { rack: 'r1' } }),
  aNode('c', { zone: 'zone-c' }),
  aNode('d', { zone: 'zone-d', region: 'away', labels: { rack: 'r2' } }),
]

/** Names of the nodes that will do: "ab". */
function feasible(
  kind: Partial<ReplicaKind>,
  held: readonly PlacedReplica[],
  cluster: readonly NodeView[] = nodes,
): string {
  return explain(tableOf(cluster, held), pendingOf('new', aKind(kind)))
    .filter(({ kind }) => kind === 'feasible')
    .map(({ nodeId }) => nodeId.slice('node-'.length))
    .sort()
    .join('')
}

function reasonAt(
  name: string,
  kind: Partial<ReplicaKind>,
  held: readonly PlacedReplica[],
): string {
  const verdicts = explain(tableOf(nodes, held), pendingOf('new', aKind(kind)))
  const verdict = verdicts.find(({ nodeId }) => nodeId === `node-${name}`)
  return verdict?.kind === 'rejected' ? `${verdict.filter}: ${verdict.reason}` : ''
}

describe('an affinity', () => {
  const held = [placed('db-1', 'a', db)]
  const rows: readonly [string, Partial<ReplicaKind>, string][] = [
    ['to a workload wants its node', { affinity: [database] }, 'a'],
    ['over zones wants its zone', { affinity: [{ ...database, topologyKey: 'zone' }] }, 'ab'],
    [
      'over regions wants its region',
      { affinity: [{ ...database, topologyKey: 'region' }] },
      'abc',
    ],
    [
      'over a label wants nodes with its value',
      { affinity: [{ ...database, topologyKey: 'rack' }] },
      'ab',
    ],
    [
      'over a label by nature does too',
      { affinity: [{ ...database, topologyKey: 'cloudless.io/zone' }] },
      'ab',
    ],
    [
      'over a label no node has is not met',
      { affinity: [{ ...database, topologyKey: 'row' }] },
      '',
    ],
    [
      'over nothing in particular is over nodes',
      { affinity: [{ ...database, topologyKey: '' }] },
      'a',
    ],
    ['that is a wish forbids nothing', { affinity: [{ ...database, required: false }] }, 'abcd'],
    [
      'to what runs nowhere is not met',
      { affinity: [{ ...database, matchLabels: { app: 'x' } }] },
      '',
    ],
    [
      'to labels of two workloads is met by neither',
      { affinity: [{ ...database, matchLabels: { app: 'db', tier: 'x' } }] },
      '',
    ],
    ['to anything wants the place of any', { affinity: [{ ...database, matchLabels: {} }] }, 'a'],
    [
      'must be met with every other',
      {
        affinity: [
          { ...database, topologyKey: 'region' },
          { ...database, topologyKey: 'zone' },
        ],
      },
      'ab',
    ],
    [
      'to nodes wants their labels',
      { affinity: [{ ...database, subject: 'node', matchLabels: { disk: 'ssd' } }] },
      'a',
    ],
    [
      'to nodes over zones wants theirs',
      {
        affinity: [
          { ...database, subject: 'node', matchLabels: { disk: 'ssd' }, topologyKey: 'zone' },
        ],
      },
      'ab',
    ],
    [
      'to nodes knows labels by nature',
      {
        affinity: [
          { ...database, subject: 'node', matchLabels: { 'cloudless.io/region': 'away' } },
        ],
      },
      'd',
    ],
    [
      'to nodes that are not there is not met',
      { affinity: [{ ...database, subject: 'node', matchLabels: { disk: 'tape' } }] },
      '',
    ],
  ]
  for (const [property, kind, expected] of rows) {
    it(property, () => assert.equal(feasible(kind, held), expected))
  }

  const own: Affinity = { ...database, matchLabels: { app: 'web' } }
  it('to its own kind lets the first go anywhere, and the others follow', () => {
    assert.equal(feasible({ affinity: [own] }, held), 'abcd')
    assert.equal(feasible({ affinity: [own] }, [...held, placed('web-1', 'c', web)]), 'c')
  })
  it('to its own kind over a label lets the first go only where the others can follow', () => {
    assert.equal(feasible({ affinity: [{ ...own, topologyKey: 'rack' }] }, held), 'abd')
  })
  it('is not met by what leaves or is only expected', () => {
    assert.equal(feasible({ affinity: [database] }, [placed('db-1', 'a', db, 'leaving')]), '')
    assert.equal(feasible({ affinity: [database] }, [placed('db-1', 'a', db, 'nominated')]), '')
  })
  it('names whom it misses', () => {
    assert.equal(
      reasonAt('b', { affinity: [database] }, held),
      'affinity: workload affinity not met',
    )
    const toNode: Affinity = { ...database, subject: 'node', matchLabels: { disk: 'ssd' } }
    assert.equal(reasonAt('b', { affinity: [toNode] }, held), 'affinity: node affinity not met')
  })
})

describe('an anti-affinity', () => {
  const held = [placed('db-1', 'a', db)]
  const rows: readonly [string, Partial<ReplicaKind>, string][] = [
    ['against a workload avoids its node', { antiAffinity: [database] }, 'bcd'],
    ['over zones avoids its zone', { antiAffinity: [{ ...database, topologyKey: 'zone' }] }, 'cd'],
    [
      'over regions avoids its region',
      { antiAffinity: [{ ...database, topologyKey: 'region' }] },
      'd',
    ],
    [
      'over a label does not touch nodes without it',
      { antiAffinity: [{ ...database, topologyKey: 'rack' }] },
      'cd',
    ],
    [
      'over a label no node has forbids nothing',
      { antiAffinity: [{ ...database, topologyKey: 'row' }] },
      'abcd',
    ],
    [
      'that is a wish forbids nothing',
      { antiAffinity: [{ ...database, required: false }] },
      'abcd',
    ],
    [
      'against what runs nowhere forbids nothing',
      { antiAffinity: [{ ...database, matchLabels: { app: 'x' } }] },
      'abcd',
    ],
    [
      'against anything avoids whatever runs',
      { antiAffinity: [{ ...database, matchLabels: {} }] },
      'bcd',
    ],
    [
      'against nodes avoids their labels',
      { antiAffinity: [{ ...database, subject: 'node', matchLabels: { disk: 'ssd' } }] },
      'bcd',
    ],
    [
      'against nodes over a label avoids their places',
      {
        antiAffinity: [
          { ...database, subject: 'node', matchLabels: { disk: 'ssd' }, topologyKey: 'rack' },
        ],
      },
      'cd',
    ],
  ]
  for (const [property, kind, expected] of rows) {
    it(property, () => assert.equal(feasible(kind, held), expected))
  }

  const shunsWeb: Partial<ReplicaKind> = {
    ...db,
    antiAffinity: [{ ...database, matchLabels: { app: 'web' }, topologyKey: 'zone' }],
  }
  it('of one that is there already holds for newcomers', () => {
    assert.equal(feasible(web, [placed('db-1', 'a', shunsWeb)]), 'cd')
    assert.equal(
      reasonAt('b', web, [placed('db-1', 'a', shunsWeb)]),
      'anti-affinity: a replica there shuns it',
    )
  })
  it('of one that is there is nothing to those it does not name', () => {
    assert.equal(
      feasible({ workloadId: 'default-x', labels: { app: 'x' } }, [placed('db-1', 'a', shunsWeb)]),
      'abcd',
    )
  })
  it('of one that is there is forgotten when it leaves', () => {
    assert.equal(feasible(web, [placed('db-1', 'a', shunsWeb, 'leaving')]), 'abcd')
  })
  it('that is only a wish of one that is there forbids newcomers nothing', () => {
    const wish = {
      ...db,
      antiAffinity: [{ ...database, matchLabels: { app: 'web' }, required: false }],
    }
    assert.equal(feasible(web, [placed('db-1', 'a', wish)]), 'abcd')
  })
  it('names whom it shuns', () => {
    assert.equal(
      reasonAt('a', { antiAffinity: [database] }, held),
      'anti-affinity: workload anti-affinity',
    )
    const toNode: Affinity = { ...database, subject: 'node', matchLabels: { disk: 'ssd' } }
    assert.equal(
      reasonAt('a', { antiAffinity: [toNode] }, held),
      'anti-affinity: node anti-affinity',
    )
  })
})

describe('a required spread', () => {
  const overZones: TopologySpread = {
    topologyKey: 'zone',
    maxSkew: 1,
    minDomains: 0,
    required: true,
    matchLabels: {},
  }
  const inZone = (...names: string[]): PlacedReplica[] =>
    names.map((name, n) => placed(`web-${n}`, name, web))
  const twoOfDb = [placed('db-1', 'a', db), placed('db-2', 'b', db)]
  const rows: readonly [string, Partial<TopologySpread>, readonly PlacedReplica[], string][] = [
    ['lets the first go anywhere', {}, [], 'abcd'],
    ['wants the places without any', {}, inZone('a'), 'cd'],
    ['lets all go on once they are level', {}, inZone('a', 'c', 'd'), 'abcd'],
    ['bears a difference of 2', { maxSkew: 2 }, inZone('a'), 'abcd'],
    ['bears no difference of 3', { maxSkew: 2 }, inZone('a', 'b'), 'cd'],
    ['over nodes counts each', { topologyKey: 'node' }, inZone('a', 'c'), 'bd'],
    ['over a label leaves out nodes without it', { topologyKey: 'rack' }, [], 'abd'],
    ['over a label no node has finds nothing', { topologyKey: 'row' }, [], ''],
    [
      'with as many places as wanted looks at the fewest',
      { minDomains: 3, maxSkew: 1 },
      inZone('a', 'c', 'd'),
      'abcd',
    ],
    [
      'with fewer places than wanted counts from nothing',
      { minDomains: 4, maxSkew: 1 },
      inZone('a', 'c', 'd'),
      '',
    ],
    [
      'with fewer places than wanted still fills up to its skew',
      { minDomains: 4, maxSkew: 2 },
      inZone('a', 'c', 'd'),
      'abcd',
    ],
    ['counts its own workload alone', {}, [placed('db-1', 'a', db)], 'abcd'],
    ['counts what it is told to', { matchLabels: { app: 'db' } }, twoOfDb, 'cd'],
    ['is none of those it is spread from', { matchLabels: { app: 'db' } }, [twoOfDb[0]!], 'abcd'],
    ['does not count what leaves', {}, [placed('web-1', 'a', web, 'leaving')], 'abcd'],
    ['that is a wish forbids nothing', { required: false }, inZone('a', 'a', 'a'), 'abcd'],
  ]
  for (const [property, spread, held, expected] of rows) {
    it(property, () => {
      assert.equal(feasible({ topologySpread: [{ ...overZones, ...spread }] }, held), expected)
    })
  }

  it('does not wait for places that are down, tainted or not selected', () => {
    const level = inZone('a', 'c')
    for (const [changes, kind] of [
      [{ phase: 'offline' }, {}],
      [{ taints: [{ key: 'gpu', value: '', effect: 'NoSchedule' }] }, {}],
      [{}, { regions: ['home'] }],
    ] as readonly [Partial<NodeView>, Partial<ReplicaKind>][]) {
      const cluster = nodes.map((node) => (node.name === 'd' ? { ...node, ...changes } : node))
      const spread = { ...kind, topologySpread: [overZones] }
      assert.equal(feasible(spread, level, cluster), 'abc')
    }
  })

  it('waits for a place that is merely full', () => {
    const full = nodes.map((node) =>
      node.name === 'd' ? { ...node, allocatable: { ...node.allocatable, cpuMillis: 0 } } : node,
    )
    assert.equal(feasible({ topologySpread: [overZones] }, inZone('a', 'c'), full), '')
  })

  it('names the places', () => {
    const kind = { topologySpread: [overZones] }
    assert.equal(reasonAt('a', kind, inZone('a')), 'topology-spread: too many replicas in its zone')
    const overRacks = { topologySpread: [{ ...overZones, topologyKey: 'rack' }] }
    assert.equal(reasonAt('c', overRacks, []), 'topology-spread: no rack to spread over')
  })
})
