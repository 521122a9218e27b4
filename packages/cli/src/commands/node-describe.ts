/** `node describe`: what a person wants to know about a node when something is odd. */
import type { Node, ReplicaStatus, ResourceCapacity, ResourceUsage } from '@cloudless/api'
import type { Command, CommandContext } from '../command.ts'
import { block, facts, type Fact } from '../output/sheet.ts'
import { detectionSheet, reliabilitySheet } from '../output/reliability-sheet.ts'
import { formatColumns } from '../output/table.ts'
import { fetchAll } from '../paging.ts'
import { drainLines } from '../resources/drain.ts'
import { age, bytes, instant, orDash, percent } from '../resources/format.ts'
import { nodeLink, nodePolicy, nodePower, nodeStatus } from '../resources/node.ts'
import { replicaExplanation, replicaState } from '../resources/replica.ts'
import { recentEvents } from './recent-events.ts'

export const nodeDescribe: Command = {
  description:
    'Prints identity, capacity and use, capabilities, labels, taints, conditions, how far it can be relied on\n' +
    'and why, how its silence is judged, the replicas on the node and its newest events.',
  examples: [{ title: 'Why does nothing run there?', line: 'cloudlessctl describe node node-a' }],
  arguments: [{ name: 'NODE', help: 'Name or id', completes: 'node' }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const { signal } = context
    const node = await coordinator.getNode({ nodeId: input.arguments[0]! }, { signal })
    const [replicas, events] = await Promise.all([
      fetchAll(
        (page) => coordinator.listReplicas({ nodeId: node.id, ...page }, { signal }),
        (page) => page.replicas,
      ),
      recentEvents(context, 'node', node.id),
    ])
    context.io.out(describe(context, node, replicas) + block('Events', events))
    return 0
  },
}

function describe(context: CommandContext, node: Node, replicas: readonly ReplicaStatus[]): string {
  const nowMs = context.clock.wallMs()
  return [
    facts(identityFacts(node, nowMs)),
    block('Drain', lines(drainBlock(node, nowMs))),
    block('Capacity', capacityTable(node)),
    block('Capabilities', facts(capabilityFacts(node))),
    block('Labels', lines(Object.entries(node.labels).map(([key, value]) => `${key}=${value}`))),
    block('Taints', lines(node.taints.map((t) => `${t.key}=${t.value}:${t.effect}`))),
    block('Conditions', conditionTable(node, nowMs)),
    block('Reliability', reliabilitySheet(node, nowMs)),
    block('Failure detection', detectionSheet(node)),
    block('Replicas', replicaTable(replicas)),
  ].join('')
}

function drainBlock(node: Node, nowMs: number): string[] {
  if (node.drain === undefined) return []
  const [title, ...rest] = drainLines(node)
  const { startedAtMs, deadlineMs, force } = node.drain
  const then = force ? 'what is left is stopped' : 'it counts as stuck'
  const since = `for ${age(startedAtMs, nowMs)}; at ${instant(deadlineMs)} ${then}`
  return [title!, `  ${since}`, ...rest]
}

function identityFacts(node: Node, nowMs: number): Fact[] {
  return [
    ['Name', node.name],
    ['ID', node.id],
    ['Region', node.region],
    ['Zone', node.zone],
    ['Status', nodeStatus(node)],
    ['Message', node.status?.message ?? ''],
    ['Schedulable', node.unschedulable ? 'no (cordoned)' : 'yes'],
    ['Reliability', node.reliabilityScore.toFixed(2)],
    ['Last seen', node.lastSeenMs === 0n ? 'not yet' : `${age(node.lastSeenMs, nowMs)} ago`],
    ['Joined', instant(node.createdAtMs)],
    ['Addresses', node.addresses.join(', ')],
    ['Container subnet', node.podCidr],
    ['Agent', node.agentVersion],
    ['Certificate until', instant(node.certificateExpiresAtMs)],
  ]
}

function capacityTable(node: Node): string {
  const { capacity, allocatable, reserved, usage } = node
  const row = (
    name: string,
    read: (of: ResourceCapacity | ResourceUsage | undefined) => number,
    show: (value: number) => string,
  ): string[] => {
    const all = read(allocatable) || read(capacity)
    const held = `${show(read(reserved))} (${percent(read(reserved), all)})`
    const used = `${show(read(usage))} (${percent(read(usage), read(capacity))})`
    return [name, show(read(capacity)), show(read(allocatable)), held, used]
  }
  const asBytes = (value: number): string => bytes(BigInt(value))
  return formatColumns([
    ['', 'CAPACITY', 'ALLOCATABLE', 'RESERVED', 'USED'],
    row(
      'cpu',
      (of) => of?.cpuMillicores ?? 0,
      (value) => `${value}m`,
    ),
    row('memory', (of) => Number(of?.memoryBytes ?? 0n), asBytes),
    row('storage', (of) => Number(of?.storageBytes ?? 0n), asBytes),
    ...(capacity?.gpuCount ? [row('gpu', (of) => of?.gpuCount ?? 0, String)] : []),
  ])
}

function capabilityFacts(node: Node): Fact[] {
  const { capabilities, capacity } = node
  if (capabilities === undefined) return []
  return [
    ['Platform', [capabilities.os, capabilities.architecture].filter(Boolean).join('/')],
    ['Kernel', capabilities.kernelVersion],
    ['Runtime', capabilities.runtimeVersion],
    ['Network', capabilities.networkFeatures.join(', ')],
    ['Disk', capacity?.iopsClass ?? ''],
    ['GPUs', capacity?.gpuModels.join(', ') ?? ''],
    ['Power', nodePower(node)],
    ['Link', nodeLink(node)],
    ['Policy', nodePolicy(node)],
    ['Images', node.imageCount === 0 ? '' : String(node.imageCount)],
  ]
}

function conditionTable(node: Node, nowMs: number): string {
  const conditions = node.status?.conditions ?? []
  if (conditions.length === 0) return ''
  return formatColumns([
    ['TYPE', 'STATUS', 'SINCE', 'REASON', 'MESSAGE'],
    ...conditions.map((condition) => [
      condition.type,
      condition.status,
      age(condition.lastTransitionMs, nowMs),
      orDash(condition.reason),
      condition.message,
    ]),
  ])
}

function replicaTable(replicas: readonly ReplicaStatus[]): string {
  if (replicas.length === 0) return 'none\n'
  return formatColumns([
    ['REPLICA', 'NAMESPACE', 'STATE', 'READY', 'CPU', 'MEMORY', 'MESSAGE'],
    ...replicas.map((replica) => [
      replica.id,
      replica.namespace,
      replicaState(replica),
      replica.ready ? 'yes' : 'no',
      `${replica.resources?.cpuMillicores ?? 0}m`,
      bytes(replica.resources?.memoryBytes),
      replicaExplanation(replica),
    ]),
  ])
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('')
}
