/** Changes of workloads, decided: what the record becomes, and why it may not. Pure. */
import { equals } from '@bufbuild/protobuf'
import {
  namespaceDefault,
  sameTemplate,
  WorkloadSpecSchema,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { Held } from '../state/cluster-state.ts'
import { withoutIdleAutoscaling, withReplicasKept } from './autoscaled-replicas.ts'

/** The record after an update; its revision grows when what runs must be replaced. */
export function updatedRecord(
  record: WorkloadRecord,
  asked: Workload,
  nowMs: number,
): WorkloadRecord {
  const before = record.workload!
  const workload = withReplicasKept(before, asked)
  const changed = !sameTemplate(before.spec!, workload.spec!)
  return withoutIdleAutoscaling({
    ...record,
    workload: {
      ...workload,
      createdAtMs: before.createdAtMs,
      updatedAtMs: BigInt(nowMs),
      revision: changed ? before.revision + 1n : before.revision,
    },
  })
}

/** Whether applying what is asked for would change nothing. */
export function sameContent(before: Workload, asked: Workload): boolean {
  const after = withReplicasKept(before, asked)
  return (
    equals(WorkloadSpecSchema, before.spec!, after.spec!) &&
    sameEntries(before.labels, after.labels) &&
    sameEntries(before.annotations, after.annotations)
  )
}

function sameEntries(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}

export function alreadyExists(existing: Held<WorkloadRecord>, workload: Workload): CloudlessError {
  const { name, namespace } = existing.record.workload!
  if (name === workload.name) {
    if (existing.record.deletedAtMs > 0n) return beingDeleted(workload)
    return new CloudlessError(
      'already_exists',
      `workload "${name}" exists in namespace "${namespace}": use apply or update to change it`,
    )
  }
  return new CloudlessError(
    'already_exists',
    `the id "${existing.id}" is taken by workload "${name}" in namespace "${namespace}": ` +
      'give this one another name',
  )
}

export function beingDeleted(workload: Workload): CloudlessError {
  return new CloudlessError(
    'failed_precondition',
    `workload "${workload.name}" in namespace "${workload.namespace || namespaceDefault}" is ` +
      'being deleted: wait until it is gone and try again',
  )
}
