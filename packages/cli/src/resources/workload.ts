import { WorkloadPhaseSchema, WorkloadSchema, type Workload } from '@cloudless/api'
import { replicasText } from './autoscaling.ts'
import { age, enumLabel, orDash, pairs } from './format.ts'
import { workloadKind, workloadReady } from './kind.ts'
import type { Resource } from './resource.ts'

export function workloadStatus(workload: Workload): string {
  return enumLabel(WorkloadPhaseSchema, workload.status?.phase ?? 0)
}

/** "workload web", or "workload prod/web" outside the default namespace. */
export function workloadTitle(workload: Workload): string {
  const namespace = workload.namespace
  return namespace === '' || namespace === 'default'
    ? `workload ${workload.name}`
    : `workload ${namespace}/${workload.name}`
}

export const workloadResource: Resource<typeof WorkloadSchema> = {
  singular: 'workload',
  plural: 'workloads',
  schema: WorkloadSchema,
  nameOf: (workload) => workload.name,
  columns: [
    { title: 'NAME', value: (workload) => workload.name },
    { title: 'NAMESPACE', value: (workload) => workload.namespace },
    { title: 'TYPE', value: workloadKind },
    { title: 'IMAGE', value: (workload) => workload.spec?.image ?? '-' },
    { title: 'REPLICAS', value: replicasText },
    { title: 'READY', value: workloadReady },
    { title: 'STATUS', value: workloadStatus },
    { title: 'AGE', value: (workload, nowMs) => age(workload.createdAtMs, nowMs) },
    { title: 'ID', wide: true, value: (workload) => workload.id },
    {
      title: 'UPDATED',
      wide: true,
      value: (workload) => String(workload.status?.updatedReplicas ?? 0),
    },
    { title: 'REVISION', wide: true, value: (workload) => String(workload.revision) },
    { title: 'LABELS', wide: true, value: (workload) => pairs(workload.labels) },
    { title: 'MESSAGE', wide: true, value: (workload) => orDash(workload.status?.message ?? '') },
  ],
}
