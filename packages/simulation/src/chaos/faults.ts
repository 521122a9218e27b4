/** Everything that goes wrong, each kind with how long it lasts. A seed draws which of them it has. */
import { between } from '@cloudless/base'
import type { Direction } from '../link.ts'
import { chance, pickOne } from '../random-streams.ts'
import type { SimulatedNode } from '../simulated-node.ts'
import type { Chaos } from './chaos.ts'

type Fault = (chaos: Chaos) => void

const second = 1_000
const minute = 60_000

function ofANode(act: (node: SimulatedNode, chaos: Chaos) => void): Fault {
  return (chaos) => {
    const node = chaos.anyNode()
    if (node) act(node, chaos)
  }
}

function coordinatorDown(chaos: Chaos, durationMs: number, isPowerLoss: boolean): void {
  const { coordinator } = chaos.world
  chaos.say(`fault: the coordinator ${isPowerLoss ? 'loses its power' : 'is killed'}`)
  coordinator.kill({ isPowerLoss })
  chaos.breakFor(durationMs, () => coordinator.start())
}

function cut(
  chaos: Chaos,
  nodes: readonly SimulatedNode[],
  ways: readonly Direction[],
  ms: number,
) {
  const names = nodes.map(({ name }) => name).join(', ')
  chaos.say(`fault: ${names}: cut off (${ways.join(' and ')}) for ${Math.round(ms / second)} s`)
  for (const { link } of nodes) for (const way of ways) link.cut(way)
  chaos.breakFor(ms, () => {
    for (const { link } of nodes) for (const way of ways) link.heal(way)
  })
}

function off(node: SimulatedNode, chaos: Chaos, durationMs: number): void {
  if (!node.isPowered) return
  chaos.say(`fault: ${node.name}: loses its power`)
  node.powerOff()
  chaos.breakFor(durationMs, () => node.powerOn())
}

function agentDown(node: SimulatedNode, chaos: Chaos, durationMs: number): void {
  node.killAgent()
  chaos.breakFor(durationMs, () => node.startAgent())
}

/** Most of the nodes at once, as those behind one router are. */
function many(chaos: Chaos): SimulatedNode[] {
  const share = between(chaos.random, 0.4, 1)
  return [...chaos.world.nodes.values()].filter(() => chance(chaos.random, share))
}

/** Mostly short, now and then long. */
function outageMs({ random }: Chaos): number {
  return pickOne(random, [
    between(random, 0.2 * second, 5 * second),
    between(random, 5 * second, 60 * second),
    between(random, minute, 15 * minute),
  ])
}

export const faults = {
  'coordinator-crash': (chaos) => coordinatorDown(chaos, between(chaos.random, 100, 5_000), false),
  'coordinator-power-loss': (chaos) => coordinatorDown(chaos, outageMs(chaos), true),
  'coordinator-long-outage': (chaos) =>
    coordinatorDown(
      chaos,
      between(chaos.random, 2 * minute, 15 * minute),
      chance(chaos.random, 0.5),
    ),
  'coordinator-stall': (chaos) => {
    const ms = between(chaos.random, 200, 20_000)
    chaos.say(`fault: the coordinator is held up for ${Math.round(ms)} ms`)
    chaos.world.coordinator.holdUp(ms)
  },
  'coordinator-disk-stall': (chaos) => {
    const ms = between(chaos.random, 500, 30_000)
    chaos.say(`fault: the coordinator's disk stalls for ${Math.round(ms)} ms`)
    chaos.world.coordinator.disk.stall(chaos.world.nowMs + ms)
    chaos.world.coordinator.disturbance.note(ms)
  },
  'coordinator-disk-full': (chaos) => {
    const { disk, disturbance } = chaos.world.coordinator
    const durationMs = outageMs(chaos)
    chaos.say(`fault: the coordinator's disk is full for ${Math.round(durationMs)} ms`)
    disk.isFull = true
    // It takes no new sessions meanwhile.
    disturbance.note(durationMs)
    chaos.breakFor(durationMs, () => (disk.isFull = false))
  },
  'coordinator-clock-jump': (chaos) => jump(chaos, chaos.world.coordinator.wall, 'the coordinator'),

  'agent-crash': ofANode((node, chaos) => {
    chaos.say(`fault: ${node.name}: its agent is killed`)
    agentDown(node, chaos, between(chaos.random, 50, 3_000))
  }),
  'agent-long-outage': ofANode((node, chaos) => {
    chaos.say(`fault: ${node.name}: its agent is killed, for long`)
    agentDown(node, chaos, outageMs(chaos))
  }),
  'agent-restart': ofANode((node, chaos) => {
    if (!node.agent) return
    chaos.say(`fault: ${node.name}: its agent is stopped in order`)
    void node.stopAgent()
    chaos.breakFor(between(chaos.random, 1_000, 90_000), () => node.startAgent())
  }),
  'agent-stall': ofANode((node, chaos) => {
    const ms = between(chaos.random, 200, 30_000)
    chaos.say(`fault: ${node.name}: its agent is held up for ${Math.round(ms)} ms`)
    node.holdUpAgent(ms)
  }),
  'host-power-off': ofANode((node, chaos) => off(node, chaos, outageMs(chaos))),
  'host-reboot': ofANode((node, chaos) => off(node, chaos, between(chaos.random, 5_000, 60_000))),
  'device-sleep': ofANode((node, chaos) => {
    if (!node.isPowered) return
    chaos.say(`fault: ${node.name}: sleeps`)
    node.suspend()
    chaos.breakFor(outageMs(chaos), () => node.resume())
  }),
  'node-disk-stall': ofANode((node, { world, random }) => {
    node.disk.stalledUntilMs = world.nowMs + between(random, 500, 30_000)
  }),
  'node-disk-full': ofANode((node, chaos) => {
    chaos.say(`fault: ${node.name}: its disk is full`)
    node.disk.isFull = true
    chaos.breakFor(outageMs(chaos), () => (node.disk.isFull = false))
  }),
  'node-clock-jump': ofANode((node, chaos) => jump(chaos, node.wall, node.name)),

  partition: ofANode((node, chaos) => cut(chaos, [node], ['up', 'down'], outageMs(chaos))),
  'one-way-up': ofANode((node, chaos) => cut(chaos, [node], ['up'], outageMs(chaos))),
  'one-way-down': ofANode((node, chaos) => cut(chaos, [node], ['down'], outageMs(chaos))),
  'bad-link': ofANode(({ link, name }, chaos) => {
    const before = link.quality
    const lossShare = between(chaos.random, 0.02, 0.3)
    const jitterMs = between(chaos.random, 10, 1_000)
    chaos.say(`fault: ${name}: loses ${Math.round(lossShare * 100)} % of its packets`)
    link.quality = { delayMs: before.delayMs, jitterMs, lossShare }
    chaos.breakFor(outageMs(chaos), () => (link.quality = before))
  }),

  'router-reboot': (chaos) => {
    const ms = between(chaos.random, 20_000, 300_000)
    cut(chaos, many(chaos), ['up', 'down'], ms)
  },
  'mass-power-loss': (chaos) => {
    const durationMs = between(chaos.random, 5_000, 300_000)
    for (const node of many(chaos)) off(node, chaos, durationMs + between(chaos.random, 0, 5_000))
  },
  'rejoin-storm': (chaos) => {
    chaos.say('fault: all agents are killed and come back together')
    for (const node of chaos.world.nodes.values()) agentDown(node, chaos, 200)
  },
} satisfies Record<string, Fault>

export type FaultKind = keyof typeof faults

export const faultKinds = Object.keys(faults) as FaultKind[]

/** A little, as NTP does, or a lot, as a battery that is empty does. */
function jump(chaos: Chaos, wall: { offsetMs: number }, whose: string): void {
  const { random } = chaos
  const ms = pickOne(random, [
    between(random, -500, 500),
    between(random, -120_000, 120_000),
    3_600_000,
    -3_600_000,
    86_400_000 * 400,
  ])
  chaos.say(`fault: the clock of ${whose} jumps by ${Math.round(ms)} ms`)
  wall.offsetMs += ms
  chaos.breakFor(outageMs(chaos), () => (wall.offsetMs -= ms))
}
