/** What may not be done to workloads of a kind, and what to do instead. Pure. */
import { clone, equals } from '@bufbuild/protobuf'
import {
  insteadOfReplicas,
  isService,
  WorkloadSpecSchema,
  WorkloadType,
  workloadTypeOf,
  type Workload,
  type WorkloadSpec,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { enumName } from '../state/enum-names.ts'

/** Throws when the one may not become the other. */
export function refuseOtherKind(before: Workload, after: Workload): void {
  const [was, is] = [kindOf(before), kindOf(after)]
  if (was !== is) {
    throw refused(
      `workload "${before.name}" is of type ${was}, and the type cannot be changed to ${is}: ` +
        'delete it first, or give this one another name',
    )
  }
  if (workloadTypeOf(before.spec) !== WorkloadType.JOB) return
  if (equals(WorkloadSpecSchema, lastingPart(before.spec!), lastingPart(after.spec!))) return
  throw refused(
    `job "${before.name}" has begun, and only its parallelism, deadline and ttl_after_finished can be changed: ` +
      'delete it first, or give this one another name',
  )
}

/** Throws for all but services: how many there are follows from something else. */
export function refuseScale({ name, spec }: Workload): void {
  if (isService(spec)) return
  throw refused(`workload "${name}" cannot be scaled: ${insteadOfReplicas[workloadTypeOf(spec)]}`)
}

/** Throws for what has no replicas that are kept running. */
export function refuseRestart({ name, spec }: Workload): void {
  const type = workloadTypeOf(spec)
  if (type === WorkloadType.JOB) {
    throw refused(`job "${name}" cannot be restarted: delete it and apply it again`)
  }
  if (type === WorkloadType.CRON) {
    throw refused(
      `cron "${name}" has nothing that could be restarted: ` +
        `\`cloudlessctl workload run ${name}\` starts a run now`,
    )
  }
}

/** Throws for all but services: where the others run follows from something else, or is of no use to change. */
export function refuseReschedule({ name, spec }: Workload): void {
  if (isService(spec)) return
  const why: Partial<Record<WorkloadType, string>> = {
    [WorkloadType.DAEMON]: `daemon "${name}" belongs to its nodes: restart it, or change its placement`,
    [WorkloadType.JOB]: `an attempt of job "${name}" would begin anew: drain the node it is to leave`,
    [WorkloadType.CRON]: `cron "${name}" has no replicas of its own`,
  }
  throw refused(`cannot reschedule: ${why[workloadTypeOf(spec)]}`)
}

/** Throws for all but crons. */
export function requireCron(workload: Workload, what: string): void {
  if (workloadTypeOf(workload.spec) === WorkloadType.CRON) return
  throw refused(
    `workload "${workload.name}" is of type ${kindOf(workload)}: only a CRON can be ${what}`,
  )
}

/** What of a job stays as it is from its beginning to its end. */
function lastingPart(spec: WorkloadSpec): WorkloadSpec {
  const part = clone(WorkloadSpecSchema, spec)
  if (part.job === undefined) return part
  part.job.parallelism = 0
  part.job.deadlineMs = 0n
  delete part.job.ttlAfterFinishedMs
  return part
}

/** "SERVICE", "DAEMON", "JOB" or "CRON". */
export function kindOf({ spec }: Workload): string {
  return enumName(WorkloadType, workloadTypeOf(spec))
}

function refused(message: string): CloudlessError {
  return new CloudlessError('failed_precondition', message)
}
