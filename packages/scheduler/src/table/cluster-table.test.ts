/** The table in a long life: it grows, rows are used again, labels and workloads come and go in great numbers. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { choicesOf } from '../choices.ts'
import { explain } from '../explain.ts'
import { noResources, type PlacedReplica, type ReplicaKind } from '../model.ts'
import { schedule } from '../schedule.ts'
import { assertSamePicture } from '../test-cluster.ts'
import { aKind, aNode, pendingOf, placed, tableOf } from '../test-views.ts'
import type { ClusterTable } from './cluster-table.ts'

const apart = {
  subject: 'workload',
  matchLabels: { app: 'web' },
  topologyKey: 'node',
  required: true,
  weight: 1,
} as const

/** Asks for a bit of everything that is kept from one decision to the next. */
const kinds: readonly ReplicaKind[] = [
  aKind(),
  aKind({ spreadTopology: 'zone', antiAffinity: [apart] }),
  aKind({
    workloadId: 'default-db',
    labels: { app: 'db' },
    nodeSelector: { disk: 'ssd' },
    affinity: [{ ...apart, topologyKey: 'zone' }],
    topologySpread: [
      { topologyKey: 'zone', maxSkew: 2, minDomains: 0, required: true, matchLabels: {} },
    ],
  }),
]

function nodeAt(number: number, changes: Parameters<typeof aNode>[1] = {}) {
  const labels = { disk: number % 3 === 0 ? 'hdd' : 'ssd' }
  return aNode(`n${number}`, { zone: `zone-${number % 5}`, labels, ...changes })
}

function replicaAt(number: number, node: number): PlacedReplica {
  const kind = kinds[number % kinds.length]!
  return { id: `r${number}`, nodeId: `node-n${node}`, kind, holding: 'holding' }
}

function ask(table: ClusterTable): void {
  for (const kind of kinds) schedule(table, [pendingOf('asked', kind)])
}

describe('a table', () => {
  it('grows with what is remembered of it', () => {
    const table = tableOf([])
    const replicas: PlacedReplica[] = []
    for (let number = 0; number < 300; number++) {
      table.putNode(nodeAt(number))
      if (number % 4 === 0) {
        replicas.push(replicaAt(number, number))
        table.putReplica(replicas.at(-1)!)
      }
      if (number % 7 === 0) ask(table)
    }
    const nodes = Array.from({ length: 300 }, (_, number) => nodeAt(number))
    assertSamePicture(table, tableOf(nodes.toReversed(), replicas), kinds)
  })

  it('uses the row of a node that went for one that comes, and mistakes neither for the other', () => {
    const table = tableOf(
      Array.from({ length: 20 }, (_, number) => nodeAt(number)),
      Array.from({ length: 20 }, (_, number) => replicaAt(number, number)),
    )
    ask(table)
    for (let number = 0; number < 10; number++) table.removeNode(`node-n${number}`)
    ask(table)
    for (let number = 30; number < 45; number++) table.putNode(nodeAt(number, { zone: 'zone-9' }))
    assert.equal(table.rowCount, 25)
    const left = [...Array(10).keys()].map((n) => n + 10)
    const come = [...Array(15).keys()].map((n) => n + 30)
    const anew = tableOf(
      [
        ...left.map((number) => nodeAt(number)),
        ...come.map((number) => nodeAt(number, { zone: 'zone-9' })),
      ],
      left.map((number) => replicaAt(number, number)),
    )
    assertSamePicture(table, anew, kinds)
    assert.deepEqual(table.reservedOn('node-n0'), noResources)
  })

  it('has what was on a node on it again when it returns', () => {
    const table = tableOf([nodeAt(1), nodeAt(2)], [replicaAt(1, 1)])
    table.removeNode('node-n1')
    assert.deepEqual(
      table.replicasOn('node-n1').map(({ id }) => id),
      ['r1'],
    )
    table.putReplica(replicaAt(4, 1))
    table.putNode(nodeAt(1, { zone: 'zone-7' }))
    const anew = tableOf(
      [nodeAt(1, { zone: 'zone-7' }), nodeAt(2)],
      [replicaAt(1, 1), replicaAt(4, 1)],
    )
    assertSamePicture(table, anew, kinds)
  })

  it('moves a replica that is put again, and counts it once', () => {
    const table = tableOf([nodeAt(1), nodeAt(2)], [replicaAt(1, 1)])
    table.putReplica(replicaAt(1, 2))
    assert.deepEqual(table.reservedOn('node-n1'), noResources)
    assert.equal(table.reservedOn('node-n2').cpuMillis, 500)
    table.removeReplica('r1')
    table.removeReplica('r1')
    assert.deepEqual(table.reservedOn('node-n2'), noResources)
  })

  it('takes the replicas of a node along when its labels put it in another place', () => {
    const table = tableOf([nodeAt(1), nodeAt(2)], [replicaAt(1, 1), replicaAt(2, 1)])
    ask(table)
    table.putNode(nodeAt(1, { zone: 'zone-8' }))
    ask(table)
    const anew = tableOf(
      [nodeAt(1, { zone: 'zone-8' }), nodeAt(2)],
      [replicaAt(1, 1), replicaAt(2, 1)],
    )
    assertSamePicture(table, anew, kinds)
  })

  it('notices nothing when a node is put as it is', () => {
    const table = tableOf([nodeAt(1, { images: new Set(['one']) })])
    const { position } = table.journal
    table.putNode(nodeAt(1, { images: new Set(['one']) }))
    assert.equal(table.journal.position, position)
    table.putNode(nodeAt(1, { images: new Set(['two']) }))
    assert.notEqual(table.journal.position, position)
  })
})

describe('in a long life', () => {
  it('any number of labels may have been asked for', () => {
    const nodes = [nodeAt(1), nodeAt(2, { labels: { 'key-299': 'x' } }), nodeAt(3)]
    const table = tableOf(nodes, [replicaAt(1, 1), replicaAt(2, 2)])
    ask(table)
    for (let number = 0; number < 300; number++) {
      const required = { key: `key-${number}`, operator: 'Exists', values: [] } as const
      const [verdict] = explain(table, pendingOf('x', aKind({ nodeRequirements: [required] })))
      assert.equal(verdict?.kind, number === 299 ? 'feasible' : 'rejected')
    }
    assert.ok(table.columnsEpoch > 0, 'columns were forgotten')
    assertSamePicture(table, tableOf(nodes, [replicaAt(1, 1), replicaAt(2, 2)]), kinds)
  })

  it('any number of values may have come and gone', () => {
    const table = tableOf([nodeAt(1), nodeAt(2), nodeAt(3)], [replicaAt(1, 1), replicaAt(2, 2)])
    ask(table)
    for (let number = 0; number < 1_100; number++) {
      table.putNode(nodeAt(3, { zone: `zone-${number}` }))
      if (number % 100 === 0) ask(table)
    }
    ask(table)
    assert.ok(table.columnsEpoch > 0, 'columns were forgotten')
    const nodes = [nodeAt(1), nodeAt(2), nodeAt(3, { zone: 'zone-1099' })]
    assertSamePicture(table, tableOf(nodes, [replicaAt(1, 1), replicaAt(2, 2)]), kinds)
  })

  it('any number of workloads may have come and gone', () => {
    const nodes = Array.from({ length: 6 }, (_, number) => nodeAt(number))
    const table = tableOf(nodes, [replicaAt(1, 1)])
    ask(table)
    for (let number = 0; number < 3_000; number++) {
      const labels = { app: `app-${number}` }
      const shunsItself = { ...apart, matchLabels: labels }
      const kind = {
        workloadId: `w-${number}`,
        labels,
        antiAffinity: [shunsItself],
        requests: noResources,
      }
      const [placement] = schedule(table, [pendingOf('come', aKind(kind), [`node-n${number % 6}`])])
      assert.ok(placement?.kind === 'placed')
      table.putReplica(placed('come', placement.nodeId.slice(5), kind))
      if (number % 500 === 0) ask(table)
    }
    table.removeReplica('come')
    assertSamePicture(table, tableOf(nodes, [replicaAt(1, 1)]), kinds)
  })

  it('any number of workloads may have been counted over nodes, and none loses count', () => {
    const nodes = Array.from({ length: 6 }, (_, number) => nodeAt(number))
    const table = tableOf(nodes)
    const spread = { maxSkew: 1, minDomains: 0, matchLabels: {} }
    // Each asks for three counts, and no multiple of three is kept: they are forgotten between one and the next.
    const kindAt = (number: number): ReplicaKind =>
      aKind({
        workloadId: `w-${number}`,
        requests: noResources,
        topologySpread: [
          { ...spread, topologyKey: 'node', required: true },
          { ...spread, topologyKey: 'zone', required: false },
          { ...spread, topologyKey: 'region', required: false },
        ],
      })
    for (let number = 0; number < 7_000; number++) {
      const kind = kindAt(number)
      const six = [0, 1, 2, 3, 4, 5].map((copy) => pendingOf(`r${copy}`, kind))
      const nodeIds = schedule(table, six).map((one) => one.kind === 'placed' && one.nodeId)
      assert.equal(new Set(nodeIds).size, 6, `of workload ${number}`)
    }
  })

  it('any number of reasons may have been given', () => {
    const hostPorts = Array.from({ length: 40_000 }, (_, number) => `${number}/TCP`)
    const nodes = [nodeAt(1)]
    const onThem = [placed('all', 'n1', { hostPorts, requests: noResources })]
    const table = tableOf(nodes, onThem)
    for (const port of hostPorts) {
      const [verdict] = explain(table, pendingOf('one', aKind({ hostPorts: [port] })))
      const reason = `host port ${port} taken`
      assert.deepEqual(verdict, {
        kind: 'rejected',
        nodeId: 'node-n1',
        filter: 'host-ports',
        reason,
      })
    }
    assertSamePicture(table, tableOf(nodes, onThem), kinds)
  })

  it('more kinds than are remembered may take turns', () => {
    const nodes = Array.from({ length: 4 }, (_, number) => nodeAt(number))
    const table = tableOf(nodes)
    const many = Array.from({ length: 200 }, (_, number) =>
      aKind({ requests: { ...noResources, cpuMillis: 10 * number } }),
    )
    for (let turn = 0; turn < 3; turn++) {
      many.forEach((kind, number) => {
        const [placement] = schedule(table, [pendingOf(`r-${turn}-${number}`, kind)])
        assert.deepEqual(
          [placement],
          schedule(tableOf(nodes, onTable(table)), [pendingOf(`r-${turn}-${number}`, kind)]),
        )
        if (placement?.kind === 'placed' && number % 10 === 0) {
          table.putReplica({
            id: `r-${turn}-${number}`,
            nodeId: placement.nodeId,
            kind,
            holding: 'holding',
          })
        }
      })
    }
  })

  it('weights may change from one decision to the next', () => {
    const table = tableOf([
      aNode('near', { region: 'home', reliability: 0 }),
      aNode('far', { region: 'away', reliability: 1 }),
    ])
    const onlyOne = { locality: 0, reliability: 0, cost: 0, utilization: 0, networkPenalty: 0 }
    const kind = aKind({ regions: ['home', 'away'], packing: 'spread' })
    const chosenWith = (weights: typeof onlyOne) =>
      schedule(table, [pendingOf('x', kind)], { weights }).map(
        (placement) => placement.kind === 'placed' && placement.nodeId,
      )
    for (let turn = 0; turn < 2; turn++) {
      assert.deepEqual(chosenWith({ ...onlyOne, locality: 1 }), ['node-near'])
      assert.deepEqual(chosenWith({ ...onlyOne, reliability: 1 }), ['node-far'])
    }
  })

  it('what is remembered of a table goes with it', () => {
    const [one, other] = [tableOf([]), tableOf([])]
    assert.equal(choicesOf(one), choicesOf(one))
    assert.notEqual(choicesOf(one), choicesOf(other))
  })
})

function onTable(table: ClusterTable): PlacedReplica[] {
  return [...table.nodes()].flatMap(({ id }) => table.replicasOn(id))
}
