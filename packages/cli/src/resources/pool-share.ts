import { PoolShareSchema, type PoolShare, type ResourceCapacity } from '@cloudless/api'
import { bytes, orDash, percent } from './format.ts'
import type { Resource } from './resource.ts'

/** "8 ALLOCATED, 1 RESERVED"; "-" when there are none. */
export function fragmentCounts({ fragments }: PoolShare): string {
  const counts = Object.keys(fragments)
    .sort()
    .map((status) => `${fragments[status]} ${status}`)
  return orDash(counts.join(', '))
}

export function poolShareResource(plural: string): Resource<typeof PoolShareSchema> {
  const singular = plural.replace(/s$/, '')
  const cpu = (capacity: ResourceCapacity | undefined): number => capacity?.cpuMillicores ?? 0
  return {
    singular,
    plural,
    schema: PoolShareSchema,
    nameOf: (share) => share.name,
    columns: [
      { title: singular.toUpperCase(), value: (share) => orDash(share.name) },
      { title: 'READY', value: (share) => `${share.nodesReady}/${share.nodes}` },
      {
        title: 'CPU (reserved/m)',
        value: ({ reserved, allocatable }) =>
          `${cpu(reserved)}/${cpu(allocatable)} (${percent(cpu(reserved), cpu(allocatable))})`,
      },
      { title: 'CPU FREE', value: ({ free }) => String(cpu(free)) },
      {
        title: 'MEMORY (reserved)',
        value: ({ reserved, allocatable }) =>
          `${bytes(reserved?.memoryBytes)}/${bytes(allocatable?.memoryBytes)} (${percent(
            Number(reserved?.memoryBytes ?? 0n),
            Number(allocatable?.memoryBytes ?? 0n),
          )})`,
      },
      { title: 'MEMORY FREE', value: ({ free }) => bytes(free?.memoryBytes) },
      { title: 'FRAGMENTS', value: fragmentCounts },
      { title: 'FRAGMENTED', value: ({ fragmentation }) => percent(fragmentation, 1) },
      { title: 'CPU USED', wide: true, value: ({ used }) => String(used?.cpuMillicores ?? 0) },
      { title: 'MEMORY USED', wide: true, value: ({ used }) => bytes(used?.memoryBytes) },
      { title: 'STORAGE FREE', wide: true, value: ({ free }) => bytes(free?.storageBytes) },
      {
        title: 'GPUS FREE',
        wide: true,
        value: ({ free, allocatable }) => `${free?.gpuCount ?? 0}/${allocatable?.gpuCount ?? 0}`,
      },
    ],
  }
}
