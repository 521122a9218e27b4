import { ContainerStatsSchema, ContainerStatusSchema } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { age, bytes, orDash } from './format.ts'
import type { Resource } from './resource.ts'

export const containerResource: Resource<typeof ContainerStatusSchema> = {
  singular: 'container',
  plural: 'containers',
  schema: ContainerStatusSchema,
  nameOf: (container) => container.containerId,
  columns: [
    { title: 'CONTAINER', value: (container) => container.containerId },
    { title: 'IMAGE', value: (container) => container.image },
    { title: 'STATE', value: (container) => container.state },
    {
      title: 'EXIT',
      value: (container) => (container.finishedAtMs === 0n ? '-' : String(container.exitCode)),
    },
    { title: 'WORKLOAD', value: (container) => orDash(container.workloadId) },
    { title: 'STARTED', value: (container, nowMs) => age(container.startedAtMs, nowMs) },
    { title: 'REASON', wide: true, value: (container) => orDash(container.reason) },
  ],
}

export const statsResource: Resource<typeof ContainerStatsSchema> = {
  singular: 'container',
  plural: 'containers',
  schema: ContainerStatsSchema,
  nameOf: (stats) => stats.containerId,
  columns: [
    { title: 'CONTAINER', value: (stats) => stats.containerId },
    { title: 'CPU (m)', value: (stats) => String(stats.cpuMillicores) },
    { title: 'CPU TIME', value: (s) => formatDurationMs(Number(s.cpuTotalUs) / 1_000) },
    {
      title: 'MEMORY',
      value: (s) =>
        s.memoryLimitBytes > 0n
          ? `${bytes(s.memoryBytes)}/${bytes(s.memoryLimitBytes)}`
          : bytes(s.memoryBytes),
    },
    { title: 'PIDS', value: (stats) => String(stats.pids) },
    { title: 'DISK', value: (stats) => bytes(stats.storageBytes) },
    {
      title: 'NETWORK (in/out)',
      value: (s) => `${bytes(s.networkReceivedBytes)}/${bytes(s.networkSentBytes)}`,
    },
    {
      title: 'THROTTLED',
      wide: true,
      value: (s) => formatDurationMs(Number(s.throttledUs) / 1_000),
    },
  ],
}
