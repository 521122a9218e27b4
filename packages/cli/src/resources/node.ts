import { NodePhaseSchema, NodeSchema, PowerSourceSchema, type Node } from '@cloudless/api'
import { age, enumLabel, instant, mebibytes, orDash, pairs } from './format.ts'
import type { Resource } from './resource.ts'

/** "READY", "OFFLINE", ... */
export function nodeStatus(node: Node): string {
  return enumLabel(NodePhaseSchema, node.status?.phase ?? 0)
}

/** "mains", "battery (73%)"; empty when the node has not said. */
export function nodePower({ capabilities }: Node): string {
  if (!capabilities?.powerSource) return ''
  const percent = capabilities.batteryPercent < 0 ? '' : ` (${capabilities.batteryPercent}%)`
  return `${enumLabel(PowerSourceSchema, capabilities.powerSource).toLowerCase()}${percent}`
}

/** Whether what goes over its link is paid by volume. Empty when the node has not said. */
export function nodeLink({ capabilities }: Node): string {
  if (capabilities === undefined) return ''
  return capabilities.meteredLink ? 'metered' : 'not metered'
}

/** What it lets containers have of its host, as the scheduler goes by it. Empty when the node has not said. */
export function nodePolicy({ capabilities }: Node): string {
  const policy = capabilities?.policy
  if (policy === undefined) return ''
  const yes = (allowed: boolean): string => (allowed ? 'yes' : 'no')
  const listed = (names: readonly string[]): string => names.join(', ') || 'none'
  return [
    `privileged ${yes(policy.allowPrivileged)}`,
    `host namespaces ${yes(policy.allowHostNamespaces)}`,
    `host paths ${listed(policy.hostPathPrefixes)}`,
    `runtime classes ${listed(policy.runtimeClasses)}`,
    `security modules ${listed(policy.securityModules)}`,
  ].join('; ')
}

export const nodeResource: Resource<typeof NodeSchema> = {
  singular: 'node',
  plural: 'nodes',
  schema: NodeSchema,
  nameOf: (node) => node.name,
  columns: [
    { title: 'NAME', value: (node) => node.name },
    { title: 'ID', value: (node) => node.id },
    { title: 'REGION', value: (node) => orDash(node.region) },
    { title: 'ZONE', value: (node) => orDash(node.zone) },
    { title: 'STATUS', value: nodeStatus },
    {
      title: 'CPU (used/m)',
      value: (n) => `${n.usage?.cpuMillicores ?? 0}/${n.capacity?.cpuMillicores ?? 0}`,
    },
    {
      title: 'MEMORY (used/Mi)',
      value: (n) => `${mebibytes(n.usage?.memoryBytes)}/${mebibytes(n.capacity?.memoryBytes)}`,
    },
    { title: 'REPLICAS', value: (node) => String(node.replicaCount) },
    { title: 'RELIABILITY', value: (node) => node.reliabilityScore.toFixed(2) },
    { title: 'AGE', value: (node, nowMs) => age(node.createdAtMs, nowMs) },
    { title: 'LAST SEEN', wide: true, value: (node, nowMs) => age(node.lastSeenMs, nowMs) },
    { title: 'ADDRESS', wide: true, value: (node) => orDash(node.addresses[0] ?? '') },
    { title: 'SUBNET', wide: true, value: (node) => orDash(node.podCidr) },
    { title: 'ARCH', wide: true, value: (node) => orDash(node.capabilities?.architecture ?? '') },
    {
      title: 'RUNTIME',
      wide: true,
      value: (node) => orDash(node.capabilities?.runtimeVersion ?? ''),
    },
    { title: 'POWER', wide: true, value: (node) => orDash(nodePower(node)) },
    { title: 'LINK', wide: true, value: (node) => orDash(nodeLink(node)) },
    {
      title: 'CERTIFICATE UNTIL',
      wide: true,
      value: (node) => instant(node.certificateExpiresAtMs),
    },
    { title: 'LABELS', wide: true, value: (node) => pairs(node.labels) },
  ],
}
