/** The jobs a cron makes: their names, and what is in them. Pure. */
import { createHash } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import {
  WorkloadRecordSchema,
  WorkloadType,
  type WorkloadRecord,
  type WorkloadSpec,
} from '@cloudless/api'

const nameLengthMax = 253
const digestLength = 8

/** "<name>-<yyyymmddhhmm>", in UTC. */
export function nameOfRun(cronName: string, dueMs: number): string {
  return withSuffix(cronName, new Date(dueMs).toISOString().replace(/\D/g, '').slice(0, 12))
}

/** Of a run that somebody asked for; `random` tells it from others. */
export function nameOfManualRun(cronName: string, random: string): string {
  return withSuffix(cronName, `manual-${random}`)
}

/** A name that would be too long is cut; those of two crons that begin alike still differ. */
function withSuffix(name: string, suffix: string): string {
  const whole = `${name}-${suffix}`
  if (whole.length <= nameLengthMax) return whole
  const digest = createHash('sha256').update(name).digest('hex').slice(0, digestLength)
  const tail = `-${digest}-${suffix}`
  const head = name.slice(0, nameLengthMax - tail.length).replace(/[.-]+$/, '')
  return head + tail
}

/** The job as it is stored. Its id is that of a workload of that name in the cron's namespace. */
export function jobOfCron(
  cron: WorkloadRecord,
  { name, nowMs }: { readonly name: string; readonly nowMs: number },
): WorkloadRecord {
  const { id, namespace, labels, spec } = cron.workload!
  const atMs = BigInt(nowMs)
  return create(WorkloadRecordSchema, {
    workload: {
      id: `${namespace}-${name}`,
      name,
      namespace,
      labels,
      spec: jobSpecOf(spec!),
      revision: 1n,
      createdAtMs: atMs,
      updatedAtMs: atMs,
      ownerId: id,
    },
  })
}

function jobSpecOf({ cron: _, ...spec }: WorkloadSpec): WorkloadSpec {
  return { ...spec, type: WorkloadType.JOB }
}
