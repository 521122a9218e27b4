import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ResourcePoolSchema, ResourceUsageSchema } from '@cloudless/api'
import { noResources, type Resources } from '@cloudless/scheduler'
import { fragmentationOf, freeOn, resourcePoolOf, type PooledNode } from './resource-pool.ts'

const none = { cpuOvercommit: 1, memoryOvercommit: 1 }
const gib = 1024 ** 3
const mib = 1024 ** 2

function room(cpuMillis: number, memoryBytes: number, rest: Partial<Resources> = {}): Resources {
  return { ...noResources, cpuMillis, memoryBytes, ...rest }
}

function node(name: string, facts: Partial<PooledNode> = {}): PooledNode {
  return {
    name,
    region: 'home',
    zone: 'a',
    isReady: true,
    capacity: room(4_000, 4 * gib),
    allocatable: room(3_600, 3 * gib),
    reserved: room(600, gib),
    usage: create(ResourceUsageSchema, { cpuMillicores: 10, memoryBytes: 5n }),
    fragments: { ALLOCATED: 1 },
    ...facts,
  }
}

describe('the pool', () => {
  const pool = resourcePoolOf(
    [
      node('one'),
      node('two', { zone: 'b', isReady: false, usage: undefined }),
      node('three', { region: 'work', zone: '', fragments: {} }),
    ],
    none,
  )

  it('adds up the nodes of the cluster, each region, zone and node', () => {
    const names = [pool.regions, pool.zones, pool.nodes].map((shares) => shares.map((s) => s.name))
    assert.deepEqual(names, [
      ['home', 'work'],
      ['home/a', 'home/b', 'work'],
      ['one', 'three', 'two'],
    ])
    const { cluster } = pool
    assert.deepEqual([cluster?.name, cluster?.nodes, cluster?.nodesReady], ['cluster', 3, 2])
    assert.deepEqual(
      [cluster?.capacity, cluster?.allocatable, cluster?.reserved].map((c) => c?.cpuMillicores),
      [12_000, 10_800, 1_800],
    )
    assert.equal(cluster?.used?.cpuMillicores, 20)
    assert.deepEqual(cluster?.fragments, { ALLOCATED: 2 })
  })

  it('can be told however much the nodes say they have', () => {
    const much = { ...room(2 ** 31 - 1, 2 ** 63), gpuCount: 2 ** 31 - 1 }
    const usage = create(ResourceUsageSchema, {
      cpuMillicores: 2 ** 31 - 1,
      memoryBytes: 2n ** 63n - 1n,
      gpuCount: 2 ** 31 - 1,
    })
    const facts = { capacity: much, allocatable: much, reserved: room(-5, -5), usage }
    const said = resourcePoolOf([node('one', facts), node('two', facts)], none)
    const { cluster } = fromBinary(ResourcePoolSchema, toBinary(ResourcePoolSchema, said))
    assert.deepEqual(
      [cluster?.used?.cpuMillicores, cluster?.used?.memoryBytes, cluster?.capacity?.gpuCount],
      [2 ** 31 - 1, 2n ** 63n - 1n, 2 ** 31 - 1],
    )
  })

  it('has nothing free on nodes that take no replicas', () => {
    assert.equal(pool.cluster?.free?.cpuMillicores, 6_000)
    assert.equal(pool.nodes[2]?.free?.cpuMillicores, 0)
  })

  it('says how often it may be promised', () => {
    const twice = resourcePoolOf([node('one')], { cpuOvercommit: 2, memoryOvercommit: 1.5 })
    assert.deepEqual([twice.cpuOvercommit, twice.memoryOvercommit], [2, 1.5])
    assert.equal(twice.cluster?.allocatable?.cpuMillicores, 3_600, 'what there is stays what it is')
    assert.equal(twice.cluster?.free?.cpuMillicores, 6_600)
    assert.equal(twice.cluster?.free?.memoryBytes, BigInt(3.5 * gib))
  })

  it('of a cluster without nodes is empty', () => {
    const { cluster, regions } = resourcePoolOf([], none)
    assert.deepEqual([cluster?.nodes, cluster?.fragmentation, regions], [0, 0, []])
  })
})

describe('what is free on a node', () => {
  for (const [property, allocatable, reserved, expected] of [
    ['is what is not promised', room(100, 100), room(40, 60), room(60, 40)],
    ['is never below nothing', room(100, 100), room(140, 60), room(0, 40)],
    [
      'counts disk, bandwidth and GPUs without overcommitment',
      room(0, 0, { storageBytes: 10, bandwidthBps: 20, gpuCount: 2 }),
      room(0, 0, { storageBytes: 4, bandwidthBps: 30, gpuCount: 1 }),
      room(0, 0, { storageBytes: 6, bandwidthBps: 0, gpuCount: 1 }),
    ],
  ] as [string, Resources, Resources, Resources][]) {
    it(property, () => {
      assert.deepEqual(freeOn(node('x', { allocatable, reserved }), none), expected)
    })
  }
})

describe('fragmentation', () => {
  for (const [property, free, expected] of [
    ['is none where nothing is free', [room(0, 0)], 0],
    ['is none in pieces that are just large enough', [room(250, 256 * mib)], 0],
    ['is all below that in CPU', [room(249, 256 * mib)], 1],
    ['is all below that in memory', [room(250, 256 * mib - 1)], 1],
    [
      'is the share in pieces that are too small, of CPU and memory alike',
      [room(900, 3 * gib), room(100, gib)],
      (0.1 + 0.25) / 2,
    ],
  ] as [string, Resources[], number][]) {
    it(property, () => assert.equal(fragmentationOf(free), expected))
  }
})
