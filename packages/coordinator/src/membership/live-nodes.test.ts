import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HeartbeatRequestSchema, HelloSchema, NodeImagesSchema } from '@cloudless/api'
import { FakeClock } from '../testing/fake-clock.ts'
import { LiveNodes } from './live-nodes.ts'
import { livenessDefaults } from './liveness.ts'

const hello = create(HelloSchema, { nodeId: 'node-a', runtimeReady: true })

function open() {
  const clock = new FakeClock()
  const changed: string[] = []
  const platforms: string[] = []
  const nodes = new LiveNodes(
    {
      clock,
      onChange: (nodeId) => changed.push(nodeId),
      onPlatforms: (images) => platforms.push(...images),
    },
    livenessDefaults,
  )
  return { clock, nodes, changed, platforms, kind: () => nodes.get('node-a')?.liveness.kind }
}

test('a silent node is lost soon after the limit, and said to be', () => {
  const { clock, nodes, changed, kind } = open()
  nodes.connected('node-a', hello)
  changed.length = 0
  clock.advance(1_600)
  assert.equal(kind(), 'connected')
  clock.advance(200)
  assert.equal(kind(), 'lost')
  assert.deepEqual(changed, ['node-a'])
})

test('a node whose connection was reset is lost exactly when its grace is over', () => {
  const { clock, nodes, kind } = open()
  nodes.connected('node-a', hello)
  nodes.reset('node-a')
  clock.advance(299)
  assert.equal(kind(), 'reset')
  clock.advance(2)
  assert.equal(kind(), 'lost')
})

test('a node that comes back within the grace is not lost', () => {
  const { clock, nodes, changed, kind } = open()
  nodes.connected('node-a', hello)
  nodes.reset('node-a')
  clock.advance(250)
  nodes.connected('node-a', hello)
  clock.advance(1_000)
  assert.equal(kind(), 'connected')
  assert.ok(!changed.includes('node-b'))
})

test('a coordinator that was held up loses no node for it', () => {
  const { clock, nodes, kind } = open()
  nodes.connected('node-a', hello)
  clock.advance(950)
  clock.stall(20_000)
  clock.advance(0)
  assert.equal(kind(), 'connected')
  // Its agent dials again, or its heartbeats are read, within the limit that is left.
  clock.advance(600)
  assert.equal(kind(), 'connected')
  nodes.heard('node-a')
  clock.advance(1_500)
  assert.equal(kind(), 'connected')
  clock.advance(300)
  assert.equal(kind(), 'lost', 'silence goes on to count')
})

test('a coordinator that was held up during a grace grants it anew', () => {
  const { clock, nodes, kind } = open()
  nodes.connected('node-a', hello)
  clock.advance(50)
  nodes.reset('node-a')
  clock.stall(5_000)
  clock.advance(0)
  assert.equal(kind(), 'reset')
  nodes.connected('node-a', hello)
  clock.advance(1_000)
  assert.equal(kind(), 'connected')
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
  const { clock, nodes } = open()
  nodes.connected('node-a', hello)
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
