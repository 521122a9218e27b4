import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HeartbeatRequestSchema, HelloSchema, NodeImagesSchema } from '@cloudless/api'
import { seededRandom, type Clock } from '@cloudless/base'
import { FakeClock } from '../testing/fake-clock.ts'
import { LiveNodes } from './live-nodes.ts'
import { livenessDefaults } from './liveness.ts'

const hello = create(HelloSchema, { nodeId: 'node-a', runtimeReady: true })
const intervalMs = livenessDefaults.heartbeatIntervalMs

function open(clock = new FakeClock(), timers: Clock = clock) {
  const changed: string[] = []
  const platforms: string[] = []
  const nodes = new LiveNodes(
    {
      clock: timers,
      onChange: (nodeId) => changed.push(nodeId),
      onPlatforms: (images) => platforms.push(...images),
    },
    livenessDefaults,
  )
  const kind = (nodeId = 'node-a') => nodes.get(nodeId)?.liveness.kind
  /** Connects it and hears it on time for two minutes. */
  const know = (...nodeIds: string[]): void => {
    for (const nodeId of nodeIds) {
      nodes.connected(nodeId, { ...hello, nodeId })
      nodes.ask(nodeId)
    }
    beat(240, nodeIds)
    changed.length = 0
  }
  const beat = (beats: number, nodeIds: readonly string[]): void => {
    for (let n = 0; n < beats; n++) {
      clock.advance(intervalMs)
      for (const nodeId of nodeIds) nodes.heard(nodeId)
    }
  }
  return { clock, nodes, changed, platforms, kind, know, beat }
}

/** Every timer fires late by so much, as in a process that gets no processor. */
function starved(clock: FakeClock, lateMs: () => number): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    after: (delayMs, fire) => clock.after(delayMs + lateMs(), fire),
  }
}

test('a silent node is lost soon after the limit, and said to be', () => {
  const { clock, changed, kind, know } = open()
  know('node-a')
  clock.advance(1_300)
  assert.equal(kind(), 'connected')
  clock.advance(50)
  assert.equal(kind(), 'lost')
  assert.deepEqual(changed, ['node-a'])
})

test('a node is lost within a second and a half, whenever between two heartbeats its cable is cut', () => {
  for (let phaseMs = 0; phaseMs < intervalMs; phaseMs += 25) {
    const { clock, kind, know } = open()
    know('node-a')
    clock.advance(phaseMs)
    clock.advance(1_500 - phaseMs)
    assert.equal(kind(), 'lost', `cut ${phaseMs} ms after a heartbeat`)
  }
})

test('however many nodes there are, one timer waits for all of them, and a delay of ours counts once', () => {
  const { clock, nodes, kind, know } = open()
  const random = seededRandom(7)
  const nodeIds = Array.from({ length: 50 }, (_, n) => `node-${n}`)
  know(...nodeIds)
  let losses = 0
  for (let round = 0; round < 3_000; round++) {
    clock.advance(random.next() * 20)
    const nodeId = nodeIds[Math.floor(random.next() * nodeIds.length)]!
    // Some are silent for so long that they are lost, while others are heard.
    if (kind(nodeId) === 'connected') nodes.heard(nodeId)
    else {
      losses++
      nodes.connected(nodeId, { ...hello, nodeId })
    }
    nodes.ask(nodeId)
    assert.ok(clock.timerCount <= 1, `${clock.timerCount} timers`)
  }
  assert.ok(losses > 10, `${losses} losses`)
  clock.stall(400)
  clock.advance(10_000)
  nodes.connected('node-new', { ...hello, nodeId: 'node-new' })
  nodes.reset('node-new')
  clock.advance(livenessDefaults.resetGraceMs + 250)
  assert.equal(kind('node-new'), 'lost')
})

test('a machine that is killed and started again and again has no more time to return each time', () => {
  const { clock, nodes, kind, know } = open()
  know('node-a')
  for (const instanceId of ['i-1', 'i-2', 'i-3', 'i-4']) {
    nodes.reset('node-a')
    clock.advance(livenessDefaults.resetGraceMs + 5)
    assert.equal(kind(), 'lost', `before ${instanceId}`)
    clock.advance(2_000)
    nodes.connected('node-a', { ...hello, instanceId })
    nodes.ask('node-a')
  }
})

test('a node whose connection was reset is lost exactly when its grace is over', () => {
  const { clock, nodes, kind, know } = open()
  know('node-a')
  nodes.reset('node-a')
  clock.advance(299)
  assert.equal(kind(), 'reset')
  clock.advance(2)
  assert.equal(kind(), 'lost')
})

test('a node that comes back within the grace is not lost', () => {
  const { clock, nodes, changed, kind, know } = open()
  know('node-a')
  nodes.reset('node-a')
  clock.advance(250)
  nodes.connected('node-a', hello)
  clock.advance(1_000)
  assert.equal(kind(), 'connected')
  assert.ok(!changed.includes('node-b'))
})

test('a node whose link flaps is given time to return', () => {
  const { clock, nodes, kind, know } = open()
  know('node-a')
  const flap = (): void => {
    nodes.reset('node-a')
    clock.advance(800)
    assert.ok(kind() !== undefined)
    nodes.connected('node-a', hello)
    nodes.ask('node-a')
  }
  flap()
  flap()
  nodes.reset('node-a')
  clock.advance(800)
  assert.equal(kind(), 'reset')
  clock.advance(800)
  assert.equal(kind(), 'lost')
})

test('a coordinator that was held up loses no node for it', () => {
  const { clock, nodes, kind, know } = open()
  know('node-a')
  clock.advance(450)
  clock.stall(20_000)
  clock.advance(0)
  assert.equal(kind(), 'connected')
  // Its agent dials again, or its heartbeats are read, within the limit that is left.
  clock.advance(600)
  assert.equal(kind(), 'connected')
  nodes.heard('node-a')
  clock.advance(1_400)
  assert.equal(kind(), 'connected')
  clock.advance(10_000)
  assert.equal(kind(), 'lost', 'silence goes on to count')
})

test('a coordinator that was held up during a grace grants it anew', () => {
  const { clock, nodes, kind, know } = open()
  know('node-a')
  clock.advance(50)
  nodes.reset('node-a')
  clock.stall(5_000)
  clock.advance(0)
  assert.equal(kind(), 'reset')
  nodes.connected('node-a', hello)
  clock.advance(1_000)
  assert.equal(kind(), 'connected')
})

test('a coordinator that was suspended gives nobody up whose agent dials again meanwhile', () => {
  const { clock, nodes, kind, know } = open()
  const ids = Array.from({ length: 20 }, (_, n) => `node-${n}`)
  know(...ids)
  clock.stall(10_000)
  clock.advance(0)
  // Their agents had given up on us: the ends of the old connections are read before the new ones are made.
  for (const nodeId of ids) nodes.reset(nodeId)
  clock.advance(2_000)
  for (const nodeId of ids) nodes.connected(nodeId, { ...hello, nodeId })
  clock.advance(10_000)
  for (const nodeId of ids) assert.equal(kind(nodeId), 'connected')
})

test('a coordinator that is always late gives nobody up for it, and those that are gone in the end', () => {
  const clock = new FakeClock()
  const lateMs = 300
  const { nodes, kind } = open(
    clock,
    starved(clock, () => lateMs),
  )
  nodes.connected('node-a', hello)
  nodes.ask('node-a')
  // What comes in is read late as well, and several at once.
  for (let n = 0; n < 600; n++) {
    clock.advance(intervalMs * 3)
    for (let beat = 0; beat < 3; beat++) nodes.heard('node-a')
    assert.equal(kind(), 'connected', `after ${n}`)
  }
  clock.advance(200_000)
  assert.equal(kind(), 'lost')
})

test('a coordinator that stalls again and again, for as long as two seconds, gives nobody up', () => {
  const random = seededRandom(7)
  const { clock, nodes, kind, know } = open()
  know('node-a')
  for (let n = 0; n < 1_000; n++) {
    clock.stall(random.next() * 2_000)
    clock.advance(0)
    nodes.heard('node-a')
    assert.equal(kind(), 'connected', `after ${n} stalls`)
    clock.advance(intervalMs)
    nodes.heard('node-a')
  }
})

test('agents are asked less often when there are thousands, and none is judged by what another was asked', () => {
  const { clock, nodes, kind } = open()
  nodes.connected('node-first', { ...hello, nodeId: 'node-first' })
  assert.equal(nodes.ask('node-first').heartbeatIntervalMs, 500)
  for (let n = 0; n < 4_999; n++) {
    nodes.connected(`node-${n}`, { ...hello, nodeId: `node-${n}` })
    nodes.ask(`node-${n}`)
  }
  assert.equal(nodes.ask('node-first').heartbeatIntervalMs, 2_500)
  clock.advance(2_600)
  assert.equal(kind('node-first'), 'connected')
  for (let n = 0; n < 4_999; n++) nodes.forget(`node-${n}`)
  assert.equal(nodes.heartbeatIntervalMs, 500)
})

test('the census tells those that are going from those that are there', () => {
  const { clock, nodes, know } = open()
  know('node-a', 'node-b', 'node-c', 'node-d', 'node-e')
  clock.advance(800)
  nodes.heard('node-a')
  nodes.reset('node-b')
  nodes.goodbye('node-c', 60_000)
  assert.deepEqual(nodes.census(), { present: 1, silent: 3, lost: 0 })
  clock.advance(400)
  assert.deepEqual(nodes.census(), { present: 1, silent: 2, lost: 1 })
})

test('many nodes that are heard on time cost few timers', () => {
  const fake = new FakeClock()
  let timers = 0
  const counting: Clock = {
    ...starved(fake, () => 0),
    after: (delayMs, fire) => {
      timers++
      return fake.after(delayMs, fire)
    },
  }
  const { know, beat } = open(fake, counting)
  const ids = Array.from({ length: 500 }, (_, n) => `node-${n}`)
  know(...ids)
  timers = 0
  beat(120, ids)
  assert.ok(timers <= 60 * 20, `${timers} in a minute`)
})

test('pressure and a runtime that is away are said once', () => {
  const { nodes, changed } = open()
  nodes.connected('node-a', hello)
  changed.length = 0
  const away = create(HeartbeatRequestSchema, {
    nodeId: 'node-a',
    conditions: [{ type: 'RuntimeUnavailable', status: 'True' }],
  })
  nodes.heartbeat('node-a', away)
  nodes.heartbeat('node-a', away)
  assert.deepEqual(changed, ['node-a'])
  assert.equal(nodes.get('node-a')!.runtimeReady, false)
})

test('a clock that differs is measured', () => {
  const { clock, nodes } = open()
  nodes.connected('node-a', hello)
  const wallTimeMs = BigInt(clock.wallMs() + 90_000)
  nodes.heartbeat('node-a', create(HeartbeatRequestSchema, { nodeId: 'node-a', wallTimeMs }))
  assert.equal(nodes.get('node-a')!.clockSkewMs, 90_000)
})

test('after close nothing is left running', () => {
  const { clock, nodes, know } = open()
  know('node-a')
  nodes.close()
  clock.advance(10_000)
  assert.equal(clock.timerCount, 0)
})

test('images are told of once, outlive a session, and go with the node', () => {
  const { nodes, changed, platforms } = open()
  const one = { name: 'docker.io/library/app:1', digest: 'sha256:1', platforms: ['linux/amd64'] }
  const images = create(NodeImagesSchema, { images: [one] })
  nodes.connected('node-a', { ...hello, images })
  assert.deepEqual(platforms, ['docker.io/library/app:1'])
  assert.deepEqual([...nodes.imagesOf('node-a')], [one.name])
  changed.length = 0
  const heartbeat = create(HeartbeatRequestSchema, { nodeId: 'node-a' })
  nodes.heartbeat('node-a', heartbeat)
  nodes.heartbeat('node-a', { ...heartbeat, images })
  assert.deepEqual(changed, [])
  nodes.heartbeat('node-a', { ...heartbeat, images: create(NodeImagesSchema) })
  assert.deepEqual(changed, ['node-a'])
  assert.deepEqual(nodes.platformsOf(one.name), [])
  nodes.heartbeat('node-a', { ...heartbeat, images })
  nodes.connected('node-a', hello)
  assert.deepEqual(nodes.platformsOf(one.name), ['linux/amd64'])
  nodes.forget('node-a')
  assert.deepEqual(nodes.platformsOf(one.name), [])
  assert.equal(nodes.imagesOf('node-a').size, 0)
})
