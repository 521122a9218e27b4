/** `cluster status`: everything at a glance. */
import { ClusterStatusSchema, type ClusterStatus } from '@cloudless/api'
import { counted, formatDurationMs } from '@cloudless/base'
import type { Command } from '../command.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { block, facts } from '../output/sheet.ts'
import { formatColumns } from '../output/table.ts'
import { age, bytes, instant, percent } from '../resources/format.ts'

export const clusterStatus: Command = {
  description:
    'Prints how many nodes and workloads are in which phase, what is reserved and used, and how the\n' +
    'coordinator is doing. When many nodes vanished together it says so, and until when what they ran is held back.',
  examples: [
    { title: 'At a glance', line: 'cloudlessctl cluster status' },
    {
      title: 'Replicas that wait for a place, in a script',
      line: 'cloudlessctl cluster status -o json | jq .schedulingQueueDepth',
    },
  ],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator, address } = await context.connect()
    const status = await coordinator.getClusterStatus({}, { signal: context.signal })
    const { output } = context.settings
    if (output === 'json' || output === 'yaml') {
      context.io.out(await encode(messageToJson(ClusterStatusSchema, status), output))
    } else if (output === 'name') context.io.out(`cluster/${status.clusterId}\n`)
    else context.io.out(describe(status, address, context.clock.wallMs()))
    return 0
  },
}

function describe(status: ClusterStatus, address: string, nowMs: number): string {
  const others = status.coordinators.length > 1 ? ` (of ${status.coordinators.join(', ')})` : ''
  return [
    facts([
      ['Cluster', status.clusterId],
      ['Trust domain', status.trustDomain],
      ['Coordinator', `${address}${others}`],
      ['Version', status.coordinatorVersion],
      ['Up', age(status.startedAtMs, nowMs)],
      ['Nodes', counts(status.nodesByPhase)],
      ['Mass loss', massLoss(status, nowMs)],
      ['Restored', restored(status, nowMs)],
      ['Workloads', counts(status.workloadsByPhase)],
      ['Replicas', `${status.replicasReady} of ${status.replicasDesired} ready`],
      ['Waiting for a place', String(status.schedulingQueueDepth)],
    ]),
    block('Capacity', capacityTable(status)),
    block(
      'Metadata',
      facts([
        ['Engine', status.metadataEngine],
        ['Revision', String(status.revision)],
        ['Commit (median)', formatMs(status.commitLatencyMs)],
      ]),
    ),
    block(
      'CA',
      facts([
        ['Fingerprint', status.caFingerprint],
        ['Valid until', instant(status.caExpiresAtMs)],
      ]),
    ),
  ].join('')
}

/** Empty when nothing is held back. */
function massLoss({ massLoss: loss }: ClusterStatus, nowMs: number): string {
  if (loss === undefined) return ''
  const leftMs = Math.max(0, Math.round((Number(loss.untilMs) - nowMs) / 1_000) * 1_000)
  return (
    `${loss.vanished} nodes vanished together ${age(loss.sinceMs, nowMs)} ago: what ${loss.held} of them ran is ` +
    `replaced in ${formatDurationMs(leftMs)} at the latest, unless they come back`
  )
}

/** Empty unless it was, and not long ago. */
function restored({ restored: view }: ClusterStatus, nowMs: number): string {
  if (view === undefined) return ''
  const what = `${age(view.restoredAtMs, nowMs)} ago, from a backup of ${instant(view.backupAtMs)}`
  if (view.unknownReplicas === 0) return what
  const unknown = counted(view.unknownReplicas, 'replica')
  return `${what}; nodes came back with ${unknown} it did not know: \`events --type cluster.restored_behind\``
}

function counts(byPhase: Readonly<Record<string, number>>): string {
  const all = Object.entries(byPhase).filter(([, count]) => count > 0)
  const total = all.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return '0'
  return `${total} (${all.map(([phase, count]) => `${count} ${phase}`).join(', ')})`
}

function capacityTable({ allocatable, reserved, usage }: ClusterStatus): string {
  const cpu = allocatable?.cpuMillicores ?? 0
  const memory = Number(allocatable?.memoryBytes ?? 0n)
  const storage = Number(allocatable?.storageBytes ?? 0n)
  const cpuCell = (part = 0): string => `${part}m (${percent(part, cpu)})`
  const bytesCell = (part: bigint | undefined, whole: number): string =>
    `${bytes(part)} (${percent(Number(part ?? 0n), whole)})`
  return formatColumns([
    ['', 'ALLOCATABLE', 'RESERVED', 'USED'],
    ['cpu', `${cpu}m`, cpuCell(reserved?.cpuMillicores), cpuCell(usage?.cpuMillicores)],
    [
      'memory',
      bytes(allocatable?.memoryBytes),
      bytesCell(reserved?.memoryBytes, memory),
      bytesCell(usage?.memoryBytes, memory),
    ],
    [
      'storage',
      bytes(allocatable?.storageBytes),
      bytesCell(reserved?.storageBytes, storage),
      bytesCell(usage?.storageBytes, storage),
    ],
  ])
}

function formatMs(durationMs: number): string {
  return durationMs < 1_000 ? `${Number(durationMs.toFixed(2))}ms` : formatDurationMs(durationMs)
}
