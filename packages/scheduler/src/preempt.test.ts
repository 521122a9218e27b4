import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Affinity, NodeView, PlacedReplica, ReplicaKind, TopologySpread } from './model.ts'
import { noResources } from './model.ts'
import { planPreemption, planPreemptions } from './preempt.ts'
import { placeDealsMax } from './preemption/tolls.ts'
import { schedule } from './schedule.ts'
import { aKind, aNode, aReplica, gibibyte, pendingOf, placed, tableOf } from './test-views.ts'

type Changes = Partial<ReplicaKind>

const cpu = (cpuMillis: number): Changes => ({ requests: { ...noResources, cpuMillis } })
const shunning = (app: string, topologyKey = 'node'): Changes => ({
  antiAffinity: [{ ...toward(app, topologyKey) }],
})
const toward = (app: string, topologyKey = 'node'): Affinity => ({
  subject: 'workload',
  matchLabels: { app },
  topologyKey,
  required: true,
  weight: 1,
})
const spread = (topologyKey: string): TopologySpread => ({
  topologyKey,
  maxSkew: 1,
  minDomains: 0,
  required: true,
  matchLabels: { app: 'web' },
})

/** "low-1" is on the node, of priority 10 and workload "low", unless the changes say otherwise. */
const on = (
  node: string,
  id: string,
  changes: Changes = {},
  holding: PlacedReplica['holding'] = 'holding',
): PlacedReplica => {
  const workloadId = id.replace(/-\d+$/, '')
  const ofIt = { workloadId, priority: 10, labels: { app: workloadId }, ...cpu(1_000), ...changes }
  return placed(id, node, ofIt, holding)
}

interface Case {
  readonly property: string
  /** Of 4000m each; "a" alone when not given. */
  readonly nodes?: readonly NodeView[]
  readonly replicas: readonly PlacedReplica[]
  /** Of priority 100 and 2000m. */
  readonly pending?: Changes
  readonly excluded?: readonly string[]
  /** By workload; 99 of the others. */
  readonly spare?: Readonly<Record<string, number>>
  /** "a: low-1 low-2", with " (x-1)" for what is displaced; "none". */
  readonly plan: string
}

const four = [on('a', 'low-1'), on('a', 'low-2'), on('a', 'low-3'), on('a', 'low-4')]
const b = aNode('b')
const a = aNode('a')

const cases: readonly Case[] = [
  { property: 'stops as many as it takes', replicas: four, plan: 'a: low-1 low-2' },
  {
    property: 'stops one large rather than two small',
    replicas: [on('a', 'low-1'), on('a', 'low-2'), on('a', 'big-1', cpu(2_000))],
    plan: 'a: big-1',
  },
  {
    property: 'stops one of a higher priority rather than two of a lower',
    replicas: [
      on('a', 'low-1', { priority: 1 }),
      on('a', 'low-2', { priority: 1 }),
      on('a', 'big-1', { ...cpu(2_000), priority: 50 }),
    ],
    plan: 'a: big-1',
  },
  {
    property: 'of as many it stops those whose highest priority is lower',
    replicas: [
      ...four,
      on('b', 'mid-1', { ...cpu(1_500), priority: 20 }),
      on('b', 'mid-2', { ...cpu(1_500), priority: -5 }),
      on('b', 'mid-3', { priority: 200 }),
    ],
    nodes: [a, b],
    plan: 'a: low-1 low-2',
  },
  {
    property: 'of the same highest priority it stops those with the lower sum',
    replicas: [
      ...four,
      on('b', 'mid-1', { ...cpu(1_500), priority: 10 }),
      on('b', 'mid-2', { ...cpu(1_500), priority: 9 }),
      on('b', 'top-1', { priority: 200 }),
    ],
    nodes: [a, b],
    plan: 'b: mid-2 mid-1',
  },
  {
    property: 'on one node it stops the lowest that make enough room',
    replicas: [
      on('a', 'one-1', { priority: 30 }),
      on('a', 'two-1', { priority: 20 }),
      on('a', 'three-1', { priority: 10 }),
      on('a', 'four-1', { priority: 40 }),
    ],
    plan: 'a: three-1 two-1',
  },
  {
    property: 'on one node, too, the highest priority counts before the sum',
    replicas: [
      on('a', 'low-1'),
      on('a', 'low-2'),
      on('a', 'mid-1', { ...cpu(1_500), priority: 20 }),
      on('a', 'least-1', { ...cpu(500), priority: -5 }),
    ],
    plan: 'a: low-1 low-2',
  },
  {
    property: 'stops nothing of equal priority',
    replicas: four.map((one) => ({ ...one, kind: { ...one.kind, priority: 100 } })),
    plan: 'none',
  },
  {
    property: 'stops nothing of higher priority',
    replicas: [on('a', 'top-1', { ...cpu(3_000), priority: 101 }), on('a', 'low-1')],
    plan: 'none',
  },
  {
    property: 'stops nothing when it would not be enough',
    replicas: four,
    pending: cpu(4_001),
    plan: 'none',
  },
  {
    property: 'keeps to what a workload can spare',
    replicas: four,
    spare: { low: 1 },
    plan: 'none',
  },
  {
    property: 'takes from other workloads what one cannot spare',
    replicas: [
      on('a', 'low-1'),
      on('a', 'low-2'),
      on('a', 'mid-1', { priority: 20 }),
      on('a', 'mid-2', { priority: 20 }),
    ],
    spare: { low: 1 },
    plan: 'a: low-1 mid-1',
  },
  {
    property: 'counts two kinds of one workload against one budget',
    replicas: [
      on('a', 'low-1'),
      on('a', 'low-2', { ...cpu(1_000), image: 'x' }),
      on('a', 'mid-1', { ...cpu(2_000), priority: 20 }),
    ],
    spare: { low: 1, mid: 1 },
    plan: 'a: mid-1',
  },
  {
    property: 'waits for what is leaving and stops nothing',
    replicas: [
      on('a', 'low-1', cpu(2_000)),
      on('a', 'gone-1', { ...cpu(2_000), priority: 500 }, 'leaving'),
    ],
    plan: 'a:',
  },
  {
    property: 'counts what is leaving beside what it stops',
    replicas: [
      on('a', 'low-1'),
      on('a', 'low-2'),
      on('a', 'low-3'),
      on('a', 'gone-1', {}, 'leaving'),
    ],
    plan: 'a: low-1',
  },
  {
    property: 'overrides a nomination of a lower priority',
    replicas: [
      on('a', 'low-1', cpu(2_000)),
      on('a', 'nom-1', { ...cpu(2_000), priority: 50 }, 'nominated'),
    ],
    plan: 'a: (nom-1)',
  },
  {
    property: 'leaves nominations that fit beside it, the higher first',
    replicas: [
      on('a', 'gone-1', cpu(4_000), 'leaving'),
      on('a', 'nom-1', { ...cpu(1_000), priority: 50 }, 'nominated'),
      on('a', 'nom-2', { ...cpu(1_500), priority: 60 }, 'nominated'),
      on('a', 'nom-3', { ...cpu(500), priority: 40 }, 'nominated'),
    ],
    plan: 'a: (nom-1)',
  },
  {
    property: 'respects a nomination of an equal priority',
    replicas: [
      on('a', 'nom-1', { ...cpu(3_000), priority: 100 }, 'nominated'),
      on('a', 'low-1', cpu(500)),
    ],
    plan: 'none',
  },
  {
    property: 'frees every resource that is lacking',
    replicas: [
      on('a', 'fat-1', { requests: { ...noResources, memoryBytes: 6 * gibibyte } }),
      on('a', 'low-1', cpu(3_000)),
    ],
    pending: { requests: { ...noResources, cpuMillis: 2_000, memoryBytes: 4 * gibibyte } },
    plan: 'a: fat-1 low-1',
  },
  {
    property: 'does not look at what is not asked for',
    replicas: [
      on('a', 'fat-1', { requests: { ...noResources, memoryBytes: 60 * gibibyte } }),
      ...four,
    ],
    plan: 'a: low-1 low-2',
  },
  {
    property: 'frees a host port',
    replicas: [on('a', 'low-1'), on('a', 'web-1', { ...cpu(100), hostPorts: ['80/TCP'] })],
    pending: { ...cpu(100), hostPorts: ['80/TCP'] },
    plan: 'a: web-1',
  },
  {
    property: 'leaves a host port to a higher priority',
    replicas: [on('a', 'web-1', { ...cpu(100), hostPorts: ['80/TCP'], priority: 100 })],
    pending: { ...cpu(100), hostPorts: ['80/TCP'] },
    plan: 'none',
  },
  {
    property: 'stops what it shuns',
    replicas: [on('a', 'low-1'), on('a', 'foe-1', cpu(100))],
    pending: { ...cpu(100), ...shunning('foe') },
    plan: 'a: foe-1',
  },
  {
    property: 'stops what shuns it',
    replicas: [on('a', 'low-1'), on('a', 'foe-1', { ...cpu(100), ...shunning('web') })],
    pending: { ...cpu(100), labels: { app: 'web' } },
    plan: 'a: foe-1',
  },
  {
    property: 'cannot help against what it shuns elsewhere in the zone',
    nodes: [a, aNode('b', { phase: 'cordoned' })],
    replicas: [on('a', 'foe-1', cpu(100)), on('b', 'foe-2', cpu(100))],
    pending: { ...cpu(100), ...shunning('foe', 'zone') },
    plan: 'none',
  },
  {
    property: 'does not stop what it wants to be near',
    replicas: [on('a', 'pal-1', { ...cpu(3_000), priority: 1 }), on('a', 'low-1')],
    pending: { ...cpu(1_000), affinity: [toward('pal')] },
    plan: 'a: low-1',
  },
  {
    property: 'evens out a spread that is a condition',
    nodes: [
      aNode('a', { zone: 'one' }),
      aNode('b', { zone: 'two', phase: 'ready', allocatable: { ...a.allocatable, cpuMillis: 0 } }),
    ],
    replicas: [on('a', 'web-1', { ...cpu(100), labels: { app: 'web' } })],
    pending: { ...cpu(100), topologySpread: [spread('zone')] },
    plan: 'a: web-1',
  },
  {
    property: 'is no use where the node itself refuses',
    nodes: [aNode('a', { taints: [{ key: 'own', value: '', effect: 'NoSchedule' }] })],
    replicas: four,
    plan: 'none',
  },
  {
    property: 'is no use on a node that is cordoned',
    nodes: [aNode('a', { phase: 'cordoned' })],
    replicas: four,
    plan: 'none',
  },
  {
    property: 'is no use on a node it was moved off',
    replicas: four,
    excluded: ['node-a'],
    plan: 'none',
  },
  {
    property: 'among equals takes the node that is filled most',
    nodes: [aNode('a', { allocatable: { ...a.allocatable, cpuMillis: 4_100 } }), b],
    replicas: [
      ...four,
      on('b', 'other-1', cpu(2_000)),
      on('b', 'other-2', cpu(2_000)),
      on('a', 'low-5', cpu(100)),
    ],
    pending: cpu(2_000),
    plan: 'b: other-1',
  },
  {
    property: 'among equals takes the place with the fewest of its own',
    nodes: [aNode('a', { zone: 'one' }), aNode('b', { zone: 'two' }), aNode('c', { zone: 'one' })],
    replicas: [
      on('a', 'low-1', cpu(4_000)),
      on('b', 'low-2', cpu(4_000)),
      on('c', 'web-1', { workloadId: 'default-web', priority: 100, ...cpu(4_000) }),
    ],
    pending: { spreadTopology: 'zone', ...cpu(2_000) },
    plan: 'b: low-2',
  },
  {
    property: 'among equals takes the first by name',
    nodes: [b, a],
    replicas: [on('a', 'low-1', cpu(4_000)), on('b', 'low-2', cpu(4_000))],
    plan: 'a: low-1',
  },
]

for (const { property, nodes = [a], replicas, pending = {}, excluded, spare = {}, plan } of cases) {
  test(property, () => {
    const table = tableOf(nodes, shared(replicas))
    const kind = aKind({ priority: 100, ...cpu(2_000), ...pending })
    const replica = pendingOf('new-1', kind, excluded)
    const spareOf = (workloadId: string): number => spare[workloadId] ?? 99
    const made = planPreemption(table, replica, { spareOf })
    const { nodeId, victimIds, displacedIds } = made ?? {
      nodeId: '',
      victimIds: [],
      displacedIds: [],
    }
    const displaced = displacedIds.length > 0 ? [`(${displacedIds.join(' ')})`] : []
    const said = [`${nodeId.replace('node-', '')}:`, ...victimIds, ...displaced].join(' ')
    assert.equal(made === undefined ? 'none' : said, plan)
  })
}

/** Replicas of one workload that are the same are of the same kind. */
function shared(replicas: readonly PlacedReplica[]): PlacedReplica[] {
  const kinds = new Map<string, ReplicaKind>()
  return replicas.map((replica) => {
    const key = JSON.stringify(replica.kind)
    if (!kinds.has(key)) kinds.set(key, replica.kind)
    return { ...replica, kind: kinds.get(key)! }
  })
}

test('its own nomination does not count against it', () => {
  const table = tableOf(
    [a],
    [on('a', 'new-1', { ...cpu(2_000), priority: 100 }, 'nominated'), on('a', 'low-1', cpu(3_000))],
  )
  const pending = aReplica('new-1', { ...cpu(2_000), priority: 100 })
  const made = planPreemption(table, pending, { spareOf: () => 1 })
  assert.deepEqual(made, { nodeId: 'node-a', victimIds: ['low-1'], displacedIds: [] })
  assert.equal(table.replica('new-1')?.holding, 'nominated')
})

test('one plan after the other empties the cluster as far as workloads can spare', () => {
  const nodes = Array.from({ length: 20 }, (_, n) => aNode(`n${n + 10}`))
  const low = aKind({ workloadId: 'low', priority: 1, ...cpu(900) })
  const table = tableOf(nodes)
  for (const { id: nodeId } of nodes) {
    for (let n = 0; n < 4; n++)
      table.putReplica({ id: `low-${nodeId}-${n}`, nodeId, kind: low, holding: 'holding' })
  }
  const kind = aKind({ priority: 100, ...cpu(3_000) })
  let spare = 40
  const plans: string[] = []
  for (let n = 0; n < 20; n++) {
    const made = planPreemption(table, pendingOf(`new-${n}`, kind), { spareOf: () => spare })
    if (made === undefined) break
    assert.equal(made.victimIds.length, 3)
    spare -= 3
    plans.push(made.nodeId)
    for (const id of made.victimIds) table.putReplica({ ...table.replica(id)!, holding: 'leaving' })
    table.putReplica({ id: `new-${n}`, nodeId: made.nodeId, kind, holding: 'nominated' })
  }
  assert.equal(new Set(plans).size, 13)
  assert.equal(spare, 1)
  spare = 3
  const later = planPreemption(table, pendingOf('later', kind), { spareOf: () => spare })
  assert.equal(later?.victimIds.length, 3)
  assert.ok(!plans.includes(later!.nodeId))
})

test('once the victims are gone the replica is placed there', () => {
  const table = tableOf(
    [a, b],
    shared([...four, on('b', 'top-1', { ...cpu(4_000), priority: 300 })]),
  )
  const pending = aReplica('new-1', { ...cpu(2_000), priority: 100 })
  assert.equal(schedule(table, [pending])[0]!.kind, 'unplaceable')
  const { nodeId, victimIds } = planPreemption(table, pending, { spareOf: () => 9 })!
  for (const id of victimIds) table.removeReplica(id)
  const [placement] = schedule(table, [pending])
  assert.ok(placement!.kind === 'placed' && placement!.nodeId === nodeId)
})

test('plans made together take nothing twice, leave something to spare, and leave the table as it was', () => {
  const low = aKind({ workloadId: 'low', priority: 1, ...cpu(2_000) })
  const table = tableOf([a, b])
  for (const nodeId of ['node-a', 'node-b']) {
    for (const n of [1, 2]) {
      table.putReplica({ id: `low-${nodeId}-${n}`, nodeId, kind: low, holding: 'holding' })
    }
  }
  const kind = aKind({ priority: 100, ...cpu(2_000) })
  const pending = [1, 2, 3, 4].map((n) => pendingOf(`new-${n}`, kind))
  const onIt = () => new Set([...table.nodes()].flatMap(({ id }) => table.replicasOn(id)))
  const before = onIt()
  const plans = [...planPreemptions(table, pending, { spareOf: () => 3 })]
  const victims = plans.flatMap(({ preemption }) => preemption?.victimIds ?? [])
  assert.equal(new Set(victims).size, 3)
  assert.equal(plans.at(-1)!.preemption, undefined)
  assert.deepEqual(onIt(), before)
})

test('of plans made together the highest priority is planned first, and whoever ends early changes nothing', () => {
  const table = tableOf([a], [on('a', 'low-1', cpu(4_000))])
  const pending = [
    aReplica('new-1', { ...cpu(4_000), priority: 100 }),
    aReplica('new-2', { ...cpu(4_000), priority: 200 }),
  ]
  for (const { pending: first } of planPreemptions(table, pending, { spareOf: () => 9 })) {
    assert.equal(first.id, 'new-2')
    break
  }
  assert.deepEqual(
    table.replicasOn('node-a').map(({ id, holding }) => [id, holding]),
    [['low-1', 'holding']],
  )
})

test('one node may be asked about alone', () => {
  const table = tableOf(
    [a, b],
    [on('a', 'low-1', cpu(4_000)), on('b', 'gone-1', cpu(4_000), 'leaving')],
  )
  const pending = aReplica('new-1', { ...cpu(4_000), priority: 100 })
  const plan = (onlyNodeId: string, spare: number) =>
    planPreemption(table, pending, { spareOf: () => spare, onlyNodeId })?.victimIds
  assert.deepEqual(plan('node-a', 1), ['low-1'])
  assert.deepEqual(plan('node-a', 0), undefined)
  assert.deepEqual(plan('node-b', 0), [])
  assert.deepEqual(plan('node-c', 9), undefined)
})

test('what could not help because of another node helps once that has changed', () => {
  const nodes = [a, aNode('b', { phase: 'cordoned' })]
  const table = tableOf(nodes, [on('a', 'foe-1', cpu(100)), on('b', 'foe-2', cpu(100))])
  const pending = aReplica('new-1', { ...cpu(100), ...shunning('foe', 'zone'), priority: 100 })
  const plan = () => planPreemption(table, pending, { spareOf: () => 9 })?.victimIds
  assert.equal(plan(), undefined)
  table.removeReplica('foe-2')
  assert.deepEqual(plan(), ['foe-1'])
})

test('where neighbours make more nodes dearer than they look than are tried, the best of those is taken', () => {
  const numbers = Array.from({ length: placeDealsMax + 10 }, (_, n) => n)
  const table = tableOf(
    numbers.map((n) => aNode(`n${n}`, { zone: `z${n}` })),
    shared(
      numbers.flatMap((n) => [
        on(`n${n}`, `foe-${n}`, cpu(100)),
        on(`n${n}`, `low-${n}`, { ...cpu(3_900), priority: n === 0 ? 20 : 10 }),
      ]),
    ),
  )
  const pending = aReplica('new-1', { ...cpu(2_000), ...shunning('foe', 'zone'), priority: 100 })
  const plan = planPreemption(table, pending, { spareOf: () => 1_000 })!
  const [foe, low] = plan.victimIds.toSorted()
  assert.match(`${foe} ${low}`, /^foe-(\d+) low-\1$/)
  assert.notEqual(low, 'low-0')
})
