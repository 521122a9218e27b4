import { FragmentSchema, FragmentStatusSchema } from '@cloudless/api'
import { age, bytes, enumLabel, orDash } from './format.ts'
import type { Resource } from './resource.ts'

export const fragmentResource: Resource<typeof FragmentSchema> = {
  singular: 'fragment',
  plural: 'fragments',
  schema: FragmentSchema,
  nameOf: (fragment) => fragment.id,
  columns: [
    { title: 'FRAGMENT', value: (fragment) => fragment.id },
    { title: 'STATUS', value: (fragment) => enumLabel(FragmentStatusSchema, fragment.status) },
    { title: 'NODE', value: (fragment) => orDash(fragment.nodeName || fragment.nodeId) },
    { title: 'WORKLOAD', value: (fragment) => orDash(fragment.workloadName) },
    { title: 'NAMESPACE', wide: true, value: (fragment) => orDash(fragment.namespace) },
    { title: 'REPLICA', wide: true, value: (fragment) => fragment.replicaId },
    { title: 'CPU (m)', value: (fragment) => String(fragment.resources?.cpuMillicores ?? 0) },
    { title: 'MEMORY', value: (fragment) => bytes(fragment.resources?.memoryBytes) },
    { title: 'STORAGE', wide: true, value: (fragment) => bytes(fragment.resources?.storageBytes) },
    { title: 'GPUS', wide: true, value: (fragment) => String(fragment.resources?.gpuCount ?? 0) },
    { title: 'AGE', value: (fragment, nowMs) => age(fragment.createdAtMs, nowMs) },
    {
      title: 'RELEASED',
      wide: true,
      value: (fragment, nowMs) => age(fragment.releasedAtMs, nowMs),
    },
  ],
}
