/** Making replicas and following what their agents say of them. Pure: records in, records out. */
import { create } from '@bufbuild/protobuf'
import {
  ReplicaRecordSchema,
  ReplicaState,
  ReplicaStatusSchema,
  type ReplicaObservation,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { randomId, type Random } from '@cloudless/base'
import { compactStatus } from '../state/replica-coding.ts'
import { isOver } from './job-attempts.ts'

const nameLengthMax = 40
const suffixLength = 8
/** Of what agents write; one that writes a megabyte must not hold up what the others report. */
const nameLengthKept = 256
const messageLengthKept = 2_048

/** "<first 40 characters of the workload's name>-<8 random>": unique in the cluster, never reused. */
export function newReplicaId(workloadName: string, random: Random): string {
  const head = workloadName.slice(0, nameLengthMax).replace(/[.-]+$/, '')
  return `${head}-${randomId(random, suffixLength)}`
}

export interface NewReplicaOptions {
  readonly id: string
  /** The replica it stands in for; empty: none. */
  readonly replaces: string
  /** The only node it may be placed on; any when not given. */
  readonly boundNodeId?: string
  readonly nowMs: number
}

/** A replica that waits for a place. */
export function newReplica(owner: WorkloadRecord, options: NewReplicaOptions): ReplicaRecord {
  const workload = owner.workload!
  const spec = workload.spec!
  const requests = spec.resources?.requests
  const status = create(ReplicaStatusSchema, {
    id: options.id,
    workloadId: workload.id,
    workloadName: workload.name,
    namespace: workload.namespace,
    revision: workload.revision,
    state: ReplicaState.PENDING,
    reason: 'WaitingForPlace',
    lastExitCode: -1,
    replaces: options.replaces,
    boundNodeId: options.boundNodeId ?? '',
    createdAtMs: BigInt(options.nowMs),
    ports: spec.ports,
    ...(requests && { resources: requests }),
  })
  const { labels } = workload
  return create(ReplicaRecordSchema, { spec, labels, status: compactStatus(status) })
}

/** A copy with some of its status changed; messages on record are never changed in place. */
export function withStatus(
  replica: ReplicaRecord,
  status: Partial<Omit<NonNullable<ReplicaRecord['status']>, '$typeName' | '$unknown'>>,
  rest: Partial<Omit<ReplicaRecord, '$typeName' | '$unknown' | 'status'>> = {},
): ReplicaRecord {
  return { ...replica, ...rest, status: { ...replica.status!, ...status } }
}

/** A stop that its agent will carry out. */
export function stopping(
  replica: ReplicaRecord,
  reason: string,
  graceMs: bigint | undefined,
): ReplicaRecord {
  return withStatus(
    replica,
    { state: ReplicaState.STOPPING, ready: false, reason: 'Stopping', message: reason },
    {
      stopping: true,
      stopReason: reason,
      ...(graceMs === undefined ? {} : { stopGraceMs: graceMs }),
    },
  )
}

export type ObservationVerdict =
  | { readonly kind: 'unchanged' }
  /** It is gone from its node and wanted gone: forget it. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'changed'; readonly record: ReplicaRecord }

/**
 * What an agent's observation makes of the record.
 *
 * A report from any node but the replica's own, or of a replica that was given up as lost, changes nothing: a fenced
 * replica is never counted, whatever it says. What is over stays so; if it runs again, it is stopped.
 */
export function applyObservation(
  record: ReplicaRecord,
  observation: ReplicaObservation,
  reporter: { readonly nodeId: string; readonly nowMs: number },
): ObservationVerdict {
  const status = record.status!
  if (status.nodeId !== reporter.nodeId) return { kind: 'unchanged' }
  const isLost = status.state === ReplicaState.LOST
  if (observation.removed) {
    // Removed without our asking: the agent lost it; its workload's controller makes another.
    return { kind: 'forget' }
  }
  if (isLost) return { kind: 'unchanged' }
  if (isOver(record)) return runsAgain(record, observation)
  const next = withStatus(record, {
    state: record.stopping ? ReplicaState.STOPPING : observation.state,
    ready: !record.stopping && observation.ready,
    containerId: observation.containerId.slice(0, nameLengthKept),
    address: observation.address.slice(0, nameLengthKept),
    restartCount: observation.restartCount,
    lastExitCode: observation.lastExitCode,
    reason: observation.reason.slice(0, nameLengthKept),
    message: observation.message.slice(0, messageLengthKept),
    startedAtMs: observation.startedAtMs,
    readyAtMs: readyAt(record, observation, reporter.nowMs),
    finishedAtMs: finishedAt(record, observation, reporter.nowMs),
  })
  return sameStatus(status, next.status!)
    ? { kind: 'unchanged' }
    : { kind: 'changed', record: next }
}

/** What an attempt that is over does on its node: begun again, it would hold room there that nobody knows of. */
function runsAgain(record: ReplicaRecord, { state }: ReplicaObservation): ObservationVerdict {
  if (record.stopping || endStates.includes(state)) return { kind: 'unchanged' }
  return { kind: 'changed', record: stopping(record, 'outlived', undefined) }
}

function readyAt(record: ReplicaRecord, observed: ReplicaObservation, nowMs: number): bigint {
  if (!observed.ready) return 0n
  return record.status!.ready ? record.status!.readyAtMs : BigInt(nowMs)
}

/** What is being stopped has not ended by itself. */
function finishedAt(record: ReplicaRecord, observed: ReplicaObservation, nowMs: number): bigint {
  if (record.stopping || !endStates.includes(observed.state)) return 0n
  return record.status!.finishedAtMs || BigInt(nowMs)
}

const endStates: readonly ReplicaState[] = [ReplicaState.STOPPED, ReplicaState.FAILED]

const comparedFields = [
  'state',
  'ready',
  'containerId',
  'address',
  'restartCount',
  'lastExitCode',
  'reason',
  'message',
  'startedAtMs',
] as const

function sameStatus(
  a: NonNullable<ReplicaRecord['status']>,
  b: NonNullable<ReplicaRecord['status']>,
): boolean {
  return comparedFields.every((field) => a[field] === b[field])
}
