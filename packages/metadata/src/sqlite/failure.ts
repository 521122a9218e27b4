/** What an error of SQLite means for the caller, and its way from a worker thread to the main one. */
import {
  CloudlessError,
  formatBytes,
  messageOf,
  type ErrorCode,
  type ErrorDetails,
} from '@cloudless/base'

/** SQLite's primary result codes that we tell apart. */
const busy = 5
const ioError = 10
const corrupt = 11
const full = 13
const cannotOpen = 14
const notADatabase = 26
const readOnly = 8
/** SQLITE_IOERR_CORRUPTFS: primary code in the low byte. */
const primaryCodeMask = 0xff

/** A CloudlessError as plain data: structured cloning would drop the code. */
export interface FailureMessage {
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails
}

export function toFailureMessage(reason: unknown): FailureMessage {
  const error = CloudlessError.from(reason)
  return { code: error.code, message: error.message, details: error.details }
}

export function fromFailureMessage(failure: FailureMessage): CloudlessError {
  return new CloudlessError(failure.code, failure.message, { details: failure.details })
}

/** SQLite's primary result code of what was thrown, if it came from SQLite. */
export function sqliteCodeOf(reason: unknown): number | undefined {
  if (!(reason instanceof Error) || !('errcode' in reason)) return undefined
  return typeof reason.errcode === 'number' ? reason.errcode & primaryCodeMask : undefined
}

/** True when after this error nobody knows what the disk holds. */
export function leavesOutcomeUnknown(reason: unknown): boolean {
  return sqliteCodeOf(reason) === ioError
}

export interface FailureContext {
  readonly path: string
  readonly sizeBytesMax: number
  /** "writing to" the database, "reading from", "opening". */
  readonly attempt: string
}

export function explainFailure(reason: unknown, context: FailureContext): CloudlessError {
  if (reason instanceof CloudlessError) return reason
  const what = `${context.attempt} the metadata database ${context.path}`
  const text = messageOf(reason)
  const options = { cause: reason, details: { path: context.path } }
  switch (sqliteCodeOf(reason)) {
    case full:
      return new CloudlessError(
        'resource_exhausted',
        `${what}: no space left on its disk, or it has reached ${formatBytes(context.sizeBytesMax)}; ` +
          'nothing was written. Free space there; writes go on by themselves',
        options,
      )
    case corrupt:
    case notADatabase:
      return new CloudlessError(
        'corrupt_data',
        `${what}: the file is damaged (${text}). Restore it from a snapshot, or move ${context.path} ` +
          'and its -wal and -shm files aside to begin an empty cluster',
        options,
      )
    case ioError:
      return new CloudlessError(
        'unavailable',
        `${what}: the disk failed (${text}). Check the disk and the kernel's log, then restart`,
        options,
      )
    case cannotOpen:
      return new CloudlessError(
        'failed_precondition',
        `${what}: cannot be opened (${text}). Check that its directory exists and may be written`,
        options,
      )
    case readOnly:
      return new CloudlessError(
        'failed_precondition',
        `${what}: it may not be written (${text}). Check the owner and the mode of the file`,
        options,
      )
    case busy:
      return new CloudlessError(
        'failed_precondition',
        `${what}: another process is using it (${text}). Stop that process first`,
        options,
      )
    default:
      return CloudlessError.from(reason, what)
  }
}
