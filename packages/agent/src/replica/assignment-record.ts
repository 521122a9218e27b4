/**
 * What this node was told to run, on disk, so that it goes on after a restart of the agent or of the machine, with or
 * without a coordinator.
 *
 * One file per replica in `<data>/assignments`, written whole (temporary file, sync, rename). Each is
 * `{"schema", "checksum", "body"}`; the checksum is the SHA-256 of the body's text. A file that cannot be believed is put
 * aside as `<name>.damaged` and said, never guessed at.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fromJson, toJson, type JsonValue } from '@bufbuild/protobuf'
import { AssignmentSchema, type Assignment } from '@cloudless/api'
import { CloudlessError, makePrivateDirectory, removeDurably, writeDurably } from '@cloudless/base'
import type { RunEnd } from './replica-state.ts'

/** Everything about a replica that outlives the agent. */
export interface ReplicaRecord {
  readonly assignment: Assignment
  /** Run by hand through AgentService: no update from the coordinator touches it. */
  readonly adHoc: boolean
  /** Of the call that made an ad-hoc container; empty otherwise. */
  readonly idempotencyKey: string
  /** It is to be stopped and forgotten; null: it is to run. */
  readonly stopping: { readonly graceMs: number | null } | null
  /** It has ended for good. */
  readonly ended: 'succeeded' | 'failed' | null
  readonly reason: string
  readonly message: string
  readonly restartCount: number
  readonly lastEnd: RunEnd | null
  readonly address: string
  readonly ready: boolean
  /** The machine's boot in which its container was last seen; empty before the first start. */
  readonly bootId: string
  /** Stopped while the coordinator was not heard; older agents did not say. */
  readonly suspended?: boolean
}

export interface LoadedRecords {
  readonly records: readonly ReplicaRecord[]
  /** One sentence for each file that was put aside. */
  readonly damaged: readonly string[]
}

export interface AssignmentRecord {
  load(): Promise<LoadedRecords>
  /** Durable when it resolves. `resource_exhausted` when the disk is full. */
  save(record: ReplicaRecord): Promise<void>
  remove(replicaId: string): Promise<void>
}

const schemaVersion = 1
const suffix = '.json'

export function openAssignmentRecord(directory: string): AssignmentRecord {
  makePrivateDirectory(directory)
  // Encoded, so that no id can name a file elsewhere.
  const pathOf = (replicaId: string): string =>
    join(directory, encodeURIComponent(replicaId) + suffix)
  return {
    load: () => loadAll(directory),
    async save(record) {
      const path = pathOf(record.assignment.replicaId)
      try {
        await writeDurably(path, encodeRecord(record))
      } catch (reason) {
        throw CloudlessError.from(reason, `writing the assignment ${path}`)
      }
    },
    remove: (replicaId) => removeDurably(pathOf(replicaId)),
  }
}

async function loadAll(directory: string): Promise<LoadedRecords> {
  const records: ReplicaRecord[] = []
  const damaged: string[] = []
  for (const name of (await readdir(directory)).toSorted()) {
    if (!name.endsWith(suffix)) continue
    const path = join(directory, name)
    try {
      records.push(decodeRecord(await readFile(path, 'utf8')))
    } catch (reason) {
      await rename(path, `${path}.damaged`)
      const { message } = CloudlessError.from(reason)
      damaged.push(`the assignment ${path} is damaged (${message}); it was put aside as .damaged`)
    }
  }
  return { records, damaged }
}

export function encodeRecord(record: ReplicaRecord): string {
  const assignment = toJson(AssignmentSchema, record.assignment)
  const body = JSON.stringify({ ...record, assignment })
  return `${JSON.stringify({ schema: schemaVersion, checksum: checksumOf(body), body })}\n`
}

/** `corrupt_data` when it is not what encodeRecord wrote, `failed_precondition` when a newer agent wrote it. */
export function decodeRecord(text: string): ReplicaRecord {
  const outer = parseObject(text)
  const { schema, checksum, body } = outer
  if (typeof schema !== 'number' || typeof body !== 'string') throw corrupt('its frame is not ours')
  if (checksum !== checksumOf(body)) throw corrupt('its checksum is wrong')
  if (schema > schemaVersion) {
    throw new CloudlessError('failed_precondition', `schema ${schema} is of a newer agent`)
  }
  const inner = parseObject(body)
  const assignment = fromJson(AssignmentSchema, inner['assignment'] as JsonValue, {
    ignoreUnknownFields: true,
  })
  return { ...(inner as unknown as ReplicaRecord), assignment }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Said below: half a file and no object are the same fault.
  }
  throw corrupt('it is not JSON')
}

function corrupt(message: string): CloudlessError {
  return new CloudlessError('corrupt_data', message)
}

function checksumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}
