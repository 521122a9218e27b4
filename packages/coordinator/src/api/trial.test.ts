/** What people are told of where replicas would go, held to its exact words and numbers in trial.golden.txt. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { NodeVerdict, ScheduleDecision } from '@cloudless/api'
import { defaultWeights, noResources, schedule, type ReplicaKind } from '@cloudless/scheduler'
import { aNode, placed, replicas, tableOf } from '@cloudless/scheduler/testing'
import { tryOut, type TrialOptions } from './trial.ts'

const explained: TrialOptions = {
  weights: defaultWeights,
  explain: true,
  priorityAbove: 100,
  spareOf: () => 1,
}
const gpuOnly = { key: 'gpu', value: 'only', effect: 'NoSchedule' } as const
const apart = { spreadTopology: 'zone' } as const

const home = () =>
  tableOf([
    aNode('kitchen', { zone: 'zone-a', images: new Set(['docker.io/library/web:1']) }),
    aNode('attic', { zone: 'zone-b', reliability: 0.5, onBattery: true, batteryPercent: 40 }),
    aNode('cellar', { zone: 'zone-c', taints: [gpuOnly] }),
    aNode('shed', { zone: 'zone-d', phase: 'cordoned' }),
  ])

const scenarios: readonly (readonly [string, number, Partial<ReplicaKind>])[] = [
  ['three replicas see those before them, and are kept apart', 3, apart],
  ['nothing fits', 1, { requests: { ...noResources, memoryBytes: 9 * 2 ** 30 } }],
  [
    'a zone may not have two more than another',
    3,
    {
      topologySpread: [
        { topologyKey: 'zone', maxSkew: 1, minDomains: 0, required: true, matchLabels: {} },
      ],
    },
  ],
  [
    'the cellar is tolerated, and all that counts is reliability',
    1,
    {
      tolerations: [{ key: 'gpu', operator: 'Exists', value: '', effect: undefined }],
      weights: { locality: 0, reliability: 1, cost: 0, utilization: 0, networkPenalty: 0 },
    },
  ],
  ['a public address is wished for, and there is none', 1, { wantsPublicAddress: true }],
]

test('explanations are those of the golden file', () => {
  const text = scenarios
    .map(([title, count, kind]) => {
      const decisions = tryOut(home(), replicas(count, kind), explained)
      return `# ${title}\n${decisions.map(read).join('')}`
    })
    .join('\n')
  assert.equal(text, readFileSync(new URL('trial.golden.txt', import.meta.url), 'utf8'))
})

function read({ replicaId, summary, verdicts }: ScheduleDecision): string {
  return `${replicaId} ${summary}\n${verdicts.map(readVerdict).join('')}`
}

function readVerdict(verdict: NodeVerdict): string {
  const { nodeName, chosen, reason, filter, score, replicasInPlace, terms } = verdict
  const head = `${chosen ? '*' : ' '} ${nodeName}`
  if (reason !== '') return `  ${head}: ${reason} (${filter})\n`
  const shown = terms
    .filter(({ value }) => value !== 0)
    .map(
      ({ name, value, contribution }) =>
        `${name} ${value.toFixed(1)} ${contribution < 0 ? '' : '+'}${contribution.toFixed(4)}`,
    )
  return `  ${head}: ${score.toFixed(4)}, ${replicasInPlace} in its place = ${shown.join(', ')}\n`
}

test('a trial leaves the table as it was', () => {
  const table = home()
  const before = tryOut(table, replicas(3, apart), explained)
  assert.equal(table.replica('web-0'), undefined)
  assert.equal(table.reservedOn('node-kitchen').cpuMillis, 0)
  assert.deepEqual(tryOut(table, replicas(3, apart), explained), before)
})

test('without explaining, decisions have their terms and their sentence alone', () => {
  const [decision] = tryOut(home(), replicas(1, apart), { ...explained, explain: false })
  assert.deepEqual(decision!.verdicts, [])
  assert.match(decision!.summary, /^would go to kitchen, the best of 2 nodes/)
  assert.deepEqual(decision!.scoreTerms, {
    locality: 0.7,
    reliability: 0.9,
    cost: 1,
    utilization: 0.475,
    network_penalty: 0,
    preference: 0,
  })
})

test('an answer has so many verdicts that it fits into a message, and a decision for every replica', () => {
  const nodes = Array.from({ length: 3_000 }, (_, n) => aNode(`n${n}`))
  const decisions = tryOut(tableOf(nodes), replicas(100), explained)
  assert.equal(decisions.length, 100)
  const counts = decisions.map(({ verdicts }) => verdicts.length)
  assert.deepEqual(counts, [3_000, ...Array<number>(99).fill(0)])
  assert.match(decisions[65]!.summary, /the best of 2992 nodes/)
  assert.match(decisions[66]!.summary, /^would go to n\d+ \(score 0\.\d\d\)$/)
})

test('replicas of a high priority say what would be stopped for them, each something else', () => {
  const low = { requests: { ...noResources, cpuMillis: 3_000 } }
  const [web, api] = [
    { ...low, workloadId: 'default-web' },
    { ...low, workloadId: 'default-api' },
  ]
  const table = tableOf(
    [aNode('a'), aNode('b')],
    [
      placed('low-1', 'a', web),
      placed('low-2', 'b', api),
      placed('low-3', 'b', { workloadId: 'x' }),
    ],
  )
  const kind = { ...low, workloadId: 'default-high', priority: 200 }
  const said = () =>
    tryOut(table, replicas(3, kind), { ...explained, spareOf: (id) => (id === 'x' ? 0 : 1) }).map(
      ({ summary }) => summary,
    )
  const waits = 'would wait: 0 of 2 nodes: 2 not enough CPU'
  const once = said()
  assert.deepEqual(once, [
    `${waits}; 1 replica of lower priority would be stopped on b to make room`,
    `${waits}; 1 replica of lower priority would be stopped on a to make room`,
    waits,
  ])
  assert.deepEqual(said(), once, 'the table is left as it was')
  const [modest] = tryOut(table, replicas(1, { ...kind, priority: 100 }), explained)
  assert.equal(modest!.summary, waits)
})

test('a trial decides as the scheduler does, and its terms add up to the score', () => {
  const node = fc.record({
    zone: fc.constantFrom('zone-a', 'zone-b', 'zone-c'),
    reliability: fc.double({ min: 0, max: 1, noNaN: true }),
    isMetered: fc.boolean(),
    phase: fc.constantFrom('ready', 'ready', 'cordoned'),
    taints: fc.constantFrom([], [], [gpuOnly]),
  })
  const kind = fc.record({
    spreadTopology: fc.constantFrom('', 'zone', 'node'),
    packing: fc.constantFrom('binpack', 'best_fit', 'spread'),
    wantsPublicAddress: fc.boolean(),
    requests: fc
      .integer({ min: 0, max: 3_000 })
      .map((cpuMillis) => ({ ...noResources, cpuMillis, memoryBytes: cpuMillis * 2 ** 20 })),
  }) as fc.Arbitrary<Partial<ReplicaKind>>
  const property = (nodes: object[], changes: Partial<ReplicaKind>, count: number): void => {
    const table = () => tableOf(nodes.map((facts, n) => aNode(`n${n}`, facts)))
    const pending = replicas(count, changes)
    const placements = schedule(table(), pending, explained)
    const decisions = tryOut(table(), pending, explained)
    for (const [n, decision] of decisions.entries()) {
      const placement = placements[n]!
      assert.equal(decision.nodeId, placement.kind === 'placed' ? placement.nodeId : '')
      assert.equal(decision.verdicts.length, nodes.length)
      if (placement.kind !== 'placed') continue
      const [first] = decision.verdicts
      assert.ok(first!.chosen && first!.score === placement.score, decision.summary)
      for (const { reason, score, terms } of decision.verdicts) {
        const sum = terms.reduce((total, { contribution }) => total + contribution, 0)
        if (reason === '') assert.ok(Math.abs(Math.min(1, Math.max(0, sum)) - score) < 1e-9)
      }
    }
  }
  const nodes = fc.array(node, { maxLength: 6 })
  fc.assert(fc.property(nodes, kind, fc.integer({ min: 1, max: 8 }), property))
})
