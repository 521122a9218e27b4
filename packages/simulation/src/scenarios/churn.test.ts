/** Nodes that leave, die and return while work is moved off them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  DrainNodeRequestSchema,
  RemoveNodeRequestSchema,
  UncordonNodeRequestSchema,
} from '@cloudless/api'
import { imageOf } from '../container-behaviour.ts'
import { Scenario } from './scenario.ts'

const nodes = ['a', 'b', 'c', 'd'].map((name) => ({ name }))
const web = { name: 'web', spec: { image: imageOf('slow', 1), replicas: 8 } }
const minuteMs = 60_000

async function begin(): Promise<Scenario> {
  const scenario = await Scenario.begin(nodes)
  await scenario.apply(web)
  await scenario.converge()
  return scenario
}

async function drain(scenario: Scenario, name: string): Promise<void> {
  const request = create(DrainNodeRequestSchema, { nodeId: name, graceful: true })
  await scenario.do(scenario.coordinator.nodes.drainNode(request))
}

async function uncordon(scenario: Scenario, name: string): Promise<void> {
  const request = create(UncordonNodeRequestSchema, { nodeId: name })
  await scenario.do(scenario.coordinator.nodes.uncordonNode(request))
}

describe('churn', () => {
  it('replaces nothing while all are silent, though most are given up much later than the first', async () => {
    const badLink = { delayMs: 20, jitterMs: 5, lossShare: 0.08 }
    const phones = ['e', 'f', 'g', 'h', 'i'].map((name) => ({ name, link: badLink }))
    const scenario = await Scenario.begin([...nodes.slice(1), ...phones])
    await scenario.apply(web)
    await scenario.converge()
    await scenario.pass(5 * minuteMs)
    for (const { link } of scenario.world.nodes.values()) link.cut('up')
    await scenario.pass(50_000)
    assert.equal(scenario.countSaid('nodeLost'), 8)
    assert.equal(scenario.replicas.length, 8)
  })

  it('finishes the drain of a node that dies half-way', async () => {
    const scenario = await begin()
    await drain(scenario, 'a')
    await scenario.pass(500)
    scenario.node('a').powerOff()
    await scenario.pass(5 * minuteMs)
    assert.equal(scenario.servingCount, 8)
    scenario.node('a').powerOn()
    await scenario.pass(minuteMs)
    await uncordon(scenario, 'a')
    await scenario.converge()
  })

  it('keeps one replica of each when a node that was cut off returns', async () => {
    const scenario = await begin()
    const { link } = scenario.node('b')
    link.cut('up')
    link.cut('down')
    await scenario.pass(10 * minuteMs)
    assert.equal(scenario.servingCount, 8)
    link.heal('up')
    link.heal('down')
    await scenario.converge(5 * minuteMs)
    assert.equal(scenario.replicas.length, 8)
  })

  it('gives a node up that hears but is not heard, and takes it back', async () => {
    const scenario = await begin()
    const { link } = scenario.node('b')
    link.cut('up')
    await scenario.pass(3 * minuteMs)
    assert.equal(scenario.servingCount, 8)
    link.heal('up')
    await scenario.converge(5 * minuteMs)
  })

  it('clears a node that was removed while it was off, when it is on again', async () => {
    const scenario = await begin()
    const node = scenario.node('d')
    node.powerOff()
    await scenario.pass(minuteMs)
    const request = create(RemoveNodeRequestSchema, { nodeId: 'd', force: true })
    await scenario.do(scenario.coordinator.nodes.removeNode(request))
    node.powerOn()
    await scenario.pass(5 * minuteMs)
    assert.deepEqual([...node.containers.running()], [])
    assert.equal(node.hasLeft, true)
    await scenario.converge()
  })

  it('clears a node that was removed while it wrote its newest assignments down', async () => {
    const scenario = await Scenario.begin(nodes)
    const { world } = scenario
    for (const node of world.nodes.values()) node.disk.stalledUntilMs = world.nowMs + 20_000
    await scenario.apply(web)
    await scenario.pass(1_000)
    const request = create(RemoveNodeRequestSchema, { nodeId: 'd', force: true })
    const node = scenario.node('d')
    await scenario.do(scenario.coordinator.nodes.removeNode(request))
    await scenario.pass(5 * minuteMs)
    assert.deepEqual([...node.containers.running()], [])
  })

  it('is not confused by the first words of an agent that was killed, delivered late', async () => {
    const scenario = await begin()
    const { world } = scenario
    const node = scenario.node('b')
    node.killAgent()
    node.startAgent()
    // Between the handshake and the hello.
    await world.until(() => node.connectionCount > 0, 1_000, 0.1)
    await world.run(1)
    node.link.cut('up')
    await world.run(2_000)
    node.killAgent()
    node.link.heal('up')
    node.startAgent()
    await scenario.converge(5 * minuteMs)
    await scenario.pass(2 * minuteMs)
    assert.ok(node.agent?.connected, 'its agent goes on')
  })

  it('loses nothing when the coordinator crashes in the middle of a rollout', async () => {
    const scenario = await begin()
    await scenario.apply({ ...web, spec: { ...web.spec, image: imageOf('slow', 2) } })
    for (let crashes = 0; crashes < 5; crashes++) {
      await scenario.pass(7_000)
      scenario.world.coordinator.kill({ isPowerLoss: crashes % 2 === 0 })
      await scenario.pass(2_000)
      scenario.world.coordinator.start()
      await scenario.pass(3_000)
    }
    await scenario.converge(20 * minuteMs)
    assert.ok(scenario.replicas.every(({ revision }) => revision === 2n))
  })
})
