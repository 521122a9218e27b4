/**
 * Explanations as people's tools get them, for a small cluster of unlike devices: kept in a text file, so that a change
 * in what is decided or said is a readable difference. `GOLDEN=write node --test explain.test.ts` writes it anew.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { admit, couldTake, explain } from './explain.ts'
import {
  noResources,
  type Affinity,
  type NodeView,
  type ReplicaKind,
  type Resources,
  type Verdict,
} from './model.ts'
import { aKind, aNode, gibibyte, pendingOf, placed, tableOf } from './test-views.ts'

const goldenFile = new URL('explain.golden.txt', import.meta.url)

function room(cpuMillis: number, memoryGib: number, more: Partial<Resources> = {}): Resources {
  return {
    cpuMillis,
    memoryBytes: memoryGib * gibibyte,
    storageBytes: 100 * gibibyte,
    bandwidthBps: 1e8,
    gpuCount: 0,
    ...more,
  }
}

const devices: readonly NodeView[] = [
  aNode('attic-server', {
    allocatable: room(8_000, 32),
    labels: { disk: 'ssd' },
    reliability: 0.95,
    images: new Set(['docker.io/library/web:1']),
  }),
  aNode('gaming-pc', {
    allocatable: room(12_000, 32, { gpuCount: 1 }),
    gpuModels: ['rtx-4090'],
    reliability: 0.6,
    taints: [{ key: 'evenings', value: 'busy', effect: 'PreferNoSchedule' }],
  }),
  aNode('laptop', {
    zone: 'zone-b',
    allocatable: room(6_000, 16),
    reliability: 0.5,
    onBattery: true,
    batteryPercent: 15,
    isMetered: true,
  }),
  aNode('raspberry', {
    zone: 'zone-b',
    allocatable: room(3_000, 4),
    architecture: 'arm64',
    reliability: 0.85,
    iopsClass: 'low',
  }),
  aNode('vps', {
    region: 'cloud',
    zone: 'fra',
    allocatable: room(2_000, 4),
    reliability: 0.99,
    hasPublicAddress: true,
    networkFeatures: ['ipv6'],
    taints: [{ key: 'public', value: '', effect: 'NoSchedule' }],
  }),
  aNode('old-pc', { phase: 'cordoned', allocatable: room(2_000, 4) }),
]

const database: Affinity = {
  subject: 'workload',
  matchLabels: { app: 'db' },
  topologyKey: 'zone',
  required: true,
  weight: 1,
}

const kinds: Readonly<Record<string, ReplicaKind>> = {
  'a small web server': aKind({ spreadTopology: 'zone', networkFeatures: ['ipv6'] }),
  'a database near its disk, apart from its like': aKind({
    workloadId: 'default-db',
    labels: { app: 'db' },
    requests: room(1_000, 4, { storageBytes: 20 * gibibyte, bandwidthBps: 0 }),
    iopsClass: 'medium',
    nodeRequirements: [{ key: 'disk', operator: 'In', values: ['ssd', 'nvme'] }],
    antiAffinity: [{ ...database, topologyKey: 'node' }],
  }),
  'a model that wants the GPU': aKind({
    workloadId: 'default-model',
    labels: { app: 'model' },
    requests: { ...noResources, cpuMillis: 2_000, memoryBytes: 8 * gibibyte, gpuCount: 1 },
    gpuModels: ['rtx-4090', 'a100'],
    platforms: ['linux/amd64'],
    tolerations: [{ key: 'evenings', operator: 'Exists', value: '', effect: undefined }],
  }),
  'an edge proxy for the world': aKind({
    workloadId: 'default-proxy',
    labels: { app: 'proxy' },
    hostPorts: ['443/TCP'],
    regions: ['cloud', 'home'],
    wantsPublicAddress: true,
    tolerations: [{ key: 'public', operator: 'Exists', value: '', effect: undefined }],
  }),
  'a worker with its database, spread over zones': aKind({
    workloadId: 'default-worker',
    labels: { app: 'worker' },
    affinity: [
      { ...database, topologyKey: 'region' },
      { ...database, required: false, weight: 80 },
    ],
    topologySpread: [
      { topologyKey: 'zone', maxSkew: 1, minDomains: 0, required: true, matchLabels: {} },
    ],
    packing: 'spread',
  }),
}

function home(): ReturnType<typeof tableOf> {
  return tableOf(devices, [
    placed('web-1', 'attic-server', { spreadTopology: 'zone' }),
    {
      id: 'db-1',
      nodeId: 'node-attic-server',
      kind: kinds['a database near its disk, apart from its like']!,
      holding: 'holding',
    },
    placed('worker-1', 'attic-server', { workloadId: 'default-worker', labels: { app: 'worker' } }),
    placed(
      'old-proxy',
      'gaming-pc',
      { workloadId: 'default-proxy', hostPorts: ['443/TCP'] },
      'leaving',
    ),
  ])
}

describe('an explanation', () => {
  it('says of each device in a home what is said in explain.golden.txt', () => {
    const table = home()
    const said = Object.entries(kinds).map(([title, kind]) => {
      return `${title}\n${explain(table, pendingOf('new', kind)).map(lineOf).join('\n')}\n`
    })
    const text = said.join('\n')
    if (process.env['GOLDEN'] === 'write') writeFileSync(goldenFile, text)
    assert.equal(text, readFileSync(goldenFile, 'utf8'))
  })

  it('puts the one chosen first, then those that would do by their scores, then the others by name', () => {
    const table = tableOf(
      [
        aNode('refused-b', { phase: 'offline' }),
        aNode('better', { reliability: 0.9 }),
        aNode('refused-a', { phase: 'offline' }),
        aNode('best', { reliability: 1 }),
        aNode('fuller', { reliability: 0.85 }),
      ],
      [placed('x', 'fuller', { workloadId: 'x', requests: { ...noResources, cpuMillis: 1 } })],
    )
    const names = explain(table, pendingOf('new', aKind())).map(({ nodeId }) => nodeId.slice(5))
    assert.deepEqual(names, ['fuller', 'best', 'better', 'refused-a', 'refused-b'])
  })

  it('of a replica that runs is told as if it did not', () => {
    const whole = { requests: { ...noResources, cpuMillis: 4_000 } }
    const table = tableOf([aNode('a')], [placed('web-1', 'a', whole)])
    const kindOf = (id: string) => explain(table, pendingOf(id, aKind(whole)))[0]?.kind
    assert.equal(kindOf('web-1'), 'feasible')
    assert.equal(kindOf('web-2'), 'rejected')
    assert.equal(table.reservedOn('node-a').cpuMillis, 4_000)
  })
})

describe('admission', () => {
  it('refuses a node that is not there', () => {
    assert.equal(admit(home(), pendingOf('new', aKind()), 'node-gone'), 'not in the cluster')
  })
  it('refuses for the reason that is explained', () => {
    const table = home()
    const tainted = admit(table, pendingOf('new', aKind()), 'node-vps')
    assert.equal(tainted, 'tainted public')
    assert.equal(
      admit(table, pendingOf('new', aKind(), ['node-laptop']), 'node-laptop'),
      'excluded, the replica was moved off',
    )
    assert.equal(admit(table, pendingOf('new', aKind()), 'node-laptop'), undefined)
  })
  it('counts the replica itself where it is as not there', () => {
    const whole = { requests: { ...noResources, cpuMillis: 4_000 } }
    const table = tableOf([aNode('a')], [placed('web-1', 'a', whole)])
    assert.equal(admit(table, pendingOf('web-1', aKind(whole)), 'node-a'), undefined)
    assert.equal(admit(table, pendingOf('web-2', aKind(whole)), 'node-a'), 'not enough CPU')
  })
})

describe('another try', () => {
  it('is worth it where the node and its room allow, whatever runs elsewhere', () => {
    const table = home()
    assert.equal(couldTake(table, aKind(), 'node-laptop'), true)
    assert.equal(couldTake(table, aKind(), 'node-vps'), false)
    assert.equal(couldTake(table, aKind(), 'node-gone'), false)
    const farFromAny = aKind({ affinity: [{ ...database, matchLabels: { app: 'nothing' } }] })
    assert.equal(couldTake(table, farFromAny, 'node-laptop'), true)
  })
})

function lineOf(verdict: Verdict): string {
  const name = verdict.nodeId.slice('node-'.length).padEnd(12)
  if (verdict.kind === 'rejected') return `  ${name}  no     ${verdict.filter}: ${verdict.reason}`
  const { score, terms, replicasInPlace } = verdict
  const said = terms
    .filter(({ value }) => value !== 0)
    .map(({ name, value, contribution }) => {
      return `${name} ${value.toFixed(0)} (${contribution < 0 ? '' : '+'}${contribution.toFixed(3)})`
    })
  const place = replicasInPlace > 0 ? [`${replicasInPlace} in place`] : []
  return `  ${name}  ${score.toFixed(3)}  ${[...said, ...place].join(', ')}`
}
