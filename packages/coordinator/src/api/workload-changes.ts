/** Changes of workloads, decided: what the record becomes, and why it may not. Pure. */
import { create, equals } from '@bufbuild/protobuf'
import {
  namespaceDefault,
  sameTemplate,
  WorkloadRecordSchema,
  WorkloadSpecSchema,
  isService,
  type CronStatus,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import {
  beginRollout,
  firstRollout,
  latestRevisionOf,
  specStrategyOf,
} from '../controllers/begin-rollout.ts'
import type { Held } from '../state/cluster-state.ts'
import { withoutIdleAutoscaling, withReplicasKept } from './autoscaled-replicas.ts'

/** A workload that is new. */
export function createdRecord(workload: Workload, nowMs: number): WorkloadRecord {
  const atMs = BigInt(nowMs)
  const stored = { ...workload, revision: 1n, createdAtMs: atMs, updatedAtMs: atMs }
  return create(WorkloadRecordSchema, {
    workload: stored,
    latestRevision: 1n,
    ...(isService(stored.spec) && { rollout: firstRollout(specStrategyOf(stored.spec!), nowMs) }),
  })
}

/** The record after an update; its revision grows when what runs must be replaced. */
export function updatedRecord(
  record: WorkloadRecord,
  asked: Workload,
  nowMs: number,
): WorkloadRecord {
  const before = record.workload!
  const workload = withReplicasKept(before, asked)
  const changed = !sameTemplate(before.spec!, workload.spec!)
  const { createdAtMs, ownerId, revision } = before
  const stored = { ...workload, ownerId, createdAtMs, updatedAtMs: BigInt(nowMs), revision }
  const decided = record.cron
    ? { ...record, cron: cronAfter(record.cron, before, workload) }
    : record
  return withoutIdleAutoscaling(
    changed ? withNextRevision(decided, stored, nowMs) : { ...decided, workload: stored },
  )
}

/** The same spec as a new revision: every replica is replaced. */
export function restartedRecord(record: WorkloadRecord, nowMs: number): WorkloadRecord {
  return withNextRevision(record, { ...record.workload!, updatedAtMs: BigInt(nowMs) }, nowMs)
}

function withNextRevision(
  before: WorkloadRecord,
  workload: Workload,
  nowMs: number,
): WorkloadRecord {
  const revision = latestRevisionOf(before) + 1n
  const strategy = specStrategyOf(workload.spec!)
  return {
    ...before,
    workload: { ...workload, revision },
    latestRevision: revision,
    ...(isService(workload.spec) && {
      rollout: beginRollout(before, { revision, strategy }, nowMs),
    }),
  }
}

/** With another schedule it is decided anew when it runs next. */
function cronAfter(status: CronStatus, before: Workload, after: Workload): CronStatus {
  const [was, is] = [before.spec!.cron, after.spec!.cron]
  const isSame = was?.schedule === is?.schedule && was?.timeZone === is?.timeZone
  return isSame ? status : { ...status, nextRunAtMs: 0n }
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
