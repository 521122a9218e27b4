import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isWorthMoving, type Crowd, type Move, type Seat } from './rebalance-worth.ts'

const movesMax = 500

interface World {
  /** Capacity and place of each node. */
  readonly nodes: readonly { readonly capacity: number; readonly place: string }[]
  /** Node and size of each replica, and whose it is. */
  readonly replicas: { node: number; readonly size: number; readonly workload: number }[]
}

function loadOf({ nodes, replicas }: World, node: number): number {
  const used = replicas.reduce((sum, r) => sum + (r.node === node ? r.size : 0), 0)
  return used / nodes[node]!.capacity
}

function crowdOf(world: World, workload: number): Crowd {
  const crowd = { onNode: new Map<string, number>(), inPlace: new Map<string, number>() }
  for (const replica of world.replicas.filter((r) => r.workload === workload)) {
    const { place } = world.nodes[replica.node]!
    crowd.onNode.set(`${replica.node}`, (crowd.onNode.get(`${replica.node}`) ?? 0) + 1)
    crowd.inPlace.set(place, (crowd.inPlace.get(place) ?? 0) + 1)
  }
  return crowd
}

function moveOf(world: World, { node, size }: World['replicas'][number], target: number): Move {
  const seat = (at: number): Seat => ({
    nodeId: `${at}`,
    place: world.nodes[at]!.place,
    load: loadOf(world, at),
  })
  const [from, to] = [seat(node), seat(target)]
  return {
    ...{ from, to },
    fromLoadAfter: from.load - size / world.nodes[node]!.capacity,
    toLoadAfter: to.load + size / world.nodes[target]!.capacity,
  }
}

/** Moves as long as one is worth it; how many there were. More than `movesMax` is going round in circles. */
function moveAll(world: World, choices: readonly number[] = [0]): number {
  let moves = 0
  while (moveOne(world, choices[moves % choices.length]!)) {
    assert.ok(++moves <= movesMax, 'it goes round in circles')
  }
  return moves
}

/** The first move that is worth it in an order that `choice` turns round; false when there is none. */
function moveOne(world: World, choice: number): boolean {
  const { replicas, nodes } = world
  for (let n = 0; n < replicas.length * nodes.length; n++) {
    const at = (n + choice) % (replicas.length * nodes.length)
    const replica = replicas[at % replicas.length]!
    const target = Math.floor(at / replicas.length)
    const crowd = crowdOf(world, replica.workload)
    if (!isWorthMoving(crowd, moveOf(world, replica, target))) continue
    replica.node = target
    return true
  }
  return false
}

const node = fc.record({
  capacity: fc.integer({ min: 4, max: 40 }),
  place: fc.constantFrom('cellar', 'attic'),
})
const replica = fc.record({
  node: fc.integer({ min: 0, max: 3 }),
  size: fc.integer({ min: 0, max: 6 }),
  workload: fc.integer({ min: 0, max: 2 }),
})

test('whatever is placed where, moving comes to rest, and what it leaves is even', () => {
  fc.assert(
    fc.property(
      fc.array(node, { minLength: 4, maxLength: 4 }),
      fc.array(replica, { minLength: 1, maxLength: 14 }),
      fc.array(fc.nat(1_000), { minLength: 1, maxLength: 5 }),
      (nodes, replicas, choices) => {
        const world = { nodes, replicas: replicas.map((r) => ({ ...r })) }
        moveAll(world, choices)
        for (const workload of [0, 1, 2]) {
          const { inPlace } = crowdOf(world, workload)
          const places = [...new Set(nodes.map(({ place }) => place))]
          const counts = places.map((place) => inPlace.get(place) ?? 0)
          assert.ok(Math.max(...counts) - Math.min(...counts) <= 1)
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('between two nodes an odd number rests either way', () => {
  for (const split of [
    [0, 0, 1],
    [0, 1, 1],
  ]) {
    const nodes = [10, 10].map((capacity) => ({ capacity, place: 'home' }))
    const replicas = split.map((node) => ({ node, size: 1, workload: 0 }))
    assert.equal(moveOne({ nodes, replicas }, 0), false)
  }
})

test('a node that comes back empty gets its share, one move at a time', () => {
  const nodes = [10, 10, 10].map((capacity) => ({ capacity, place: 'home' }))
  const replicas = [0, 0, 0, 1, 1, 1].map((node) => ({ node, size: 1, workload: 0 }))
  const world = { nodes, replicas }
  assert.equal(moveAll(world), 2)
  assert.deepEqual(
    [0, 1, 2].map((n) => loadOf(world, n)),
    [0.2, 0.2, 0.2],
  )
})

test('a crowded node gives work to one that has nothing to do', () => {
  const nodes = [10, 10].map((capacity) => ({ capacity, place: 'home' }))
  const replicas = [0, 1, 2].map((workload) => ({ node: 0, size: 2, workload }))
  const world = { nodes, replicas }
  assert.equal(moveAll(world), 1)
  assert.deepEqual(
    [0, 1].map((n) => loadOf(world, n)),
    [0.4, 0.2],
  )
})
