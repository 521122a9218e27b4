/** `vrn show`: what all nodes have together, and what of it is promised, used and free. */
import { ResourcePoolSchema, type PoolShare, type ResourcePool } from '@cloudless/api'
import type { Command } from '../command.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { block, facts } from '../output/sheet.ts'
import { columnsShown, formatColumns } from '../output/table.ts'
import { bytes, percent } from '../resources/format.ts'
import { fragmentCounts, poolShareResource } from '../resources/pool-share.ts'
import { printList } from '../resources/resource.ts'

const groupings = ['region', 'zone', 'node'] as const

export const vrnShow: Command = {
  description:
    'The nodes of a cluster are one pool: the virtual resource network. Shows its capacity, what is allocatable to\n' +
    'replicas, reserved by them, used and free, and how much of what is free lies in pieces too small to be of use\n' +
    '(below 250m of CPU or 256Mi of memory). Lost nodes do not count; nodes that take no replicas have nothing free.',
  examples: [
    { title: 'At a glance', line: 'cloudlessctl vrn' },
    { title: 'Node by node', line: 'cloudlessctl vrn show --by node' },
    {
      title: 'What is free in each zone, in a script',
      line: "cloudlessctl vrn --by zone -o json | jq '.items[] | {name, free}'",
    },
  ],
  arguments: [],
  options: [
    {
      name: 'by',
      kind: 'text',
      value: 'PLACE',
      choices: groupings,
      help: 'One row for each of these instead of the whole',
    },
  ],

  async run(context, { options }) {
    const { coordinator } = await context.connect()
    const pool = await coordinator.getResourcePool({}, { signal: context.signal })
    const by = options.text('by') as (typeof groupings)[number] | undefined
    const { output } = context.settings
    if (by !== undefined) {
      const plural = `${by}s` as const
      await printList(context, poolShareResource(plural), pool[plural])
    } else if (output === 'json' || output === 'yaml') {
      context.io.out(await encode(messageToJson(ResourcePoolSchema, pool), output))
    } else if (output === 'name') {
      await printList(context, poolShareResource('nodes'), pool.nodes)
    } else {
      context.io.out(describe(pool, context.clock.wallMs()))
    }
    return 0
  },
}

function describe(pool: ResourcePool, nowMs: number): string {
  const cluster = pool.cluster!
  const overcommit = [
    ...(pool.cpuOvercommit > 1 ? [`cpu ${pool.cpuOvercommit} times`] : []),
    ...(pool.memoryOvercommit > 1 ? [`memory ${pool.memoryOvercommit} times`] : []),
  ]
  return [
    facts([
      ['Nodes', `${cluster.nodes} (${cluster.nodesReady} ready)`],
      ['Fragments', fragmentCounts(cluster)],
      ['Fragmented', `${percent(cluster.fragmentation, 1)} of what is free`],
      ['Overcommitment', overcommit.join(', ') || 'none'],
    ]),
    block('Resources', resourceTable(cluster)),
    block('Zones', zoneTable(pool.zones, nowMs)),
  ].join('')
}

function resourceTable({ capacity, allocatable, reserved, used, free }: PoolShare): string {
  const columns = [capacity, allocatable, reserved, used, free]
  const row = (name: string, cellOf: (of: (typeof columns)[number]) => string): string[] => [
    name,
    ...columns.map(cellOf),
  ]
  const gpus = row('gpus', (of) => String(of?.gpuCount ?? 0))
  return formatColumns([
    ['', 'CAPACITY', 'ALLOCATABLE', 'RESERVED', 'USED', 'FREE'],
    row('cpu', (of) => `${of?.cpuMillicores ?? 0}m`),
    row('memory', (of) => bytes(of?.memoryBytes)),
    row('storage', (of) => bytes(of?.storageBytes)),
    row('bandwidth', (of) => `${Math.round(Number(of?.bandwidthBps ?? 0n) / 1e6)}Mbit/s`),
    ...(capacity?.gpuCount ? [gpus] : []),
  ])
}

function zoneTable(zones: readonly PoolShare[], nowMs: number): string {
  if (zones.length === 0) return ''
  const columns = columnsShown(poolShareResource('zones').columns, false)
  return formatColumns([
    columns.map(({ title }) => title),
    ...zones.map((zone) => columns.map((column) => column.value(zone, nowMs))),
  ])
}
