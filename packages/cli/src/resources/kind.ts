/** How kinds of workloads read: what they are, and how much of what they want is there. */
import { WorkloadType, WorkloadTypeSchema, workloadTypeOf, type Workload } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { enumLabel } from './format.ts'

/** "SERVICE", "DAEMON", "JOB" or "CRON". */
export function workloadKind({ spec }: Workload): string {
  return enumLabel(WorkloadTypeSchema, workloadTypeOf(spec))
}

/** "2/3": of services and daemons those that are ready, of jobs those that ended well; of crons when it runs next. */
export function workloadReady(workload: Workload, nowMs: number): string {
  const { spec, status } = workload
  switch (workloadTypeOf(spec)) {
    case WorkloadType.JOB:
      return `${status?.job?.succeeded ?? 0}/${spec?.job?.completions || 1}`
    case WorkloadType.CRON:
      return nextRun(workload, nowMs)
    case WorkloadType.DAEMON:
      return `${status?.readyReplicas ?? 0}/${status?.desiredReplicas ?? 0}`
    default:
      return `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`
  }
}

/** "in 3h5m", "suspended"; "-" when it is not known. */
export function nextRun({ spec, status }: Workload, nowMs: number): string {
  if (spec?.cron?.suspend) return 'suspended'
  const nextRunAtMs = Number(status?.cron?.nextRunAtMs ?? 0n)
  if (nextRunAtMs === 0) return '-'
  return `in ${formatDurationMs(Math.max(1_000, nextRunAtMs - nowMs))}`
}
