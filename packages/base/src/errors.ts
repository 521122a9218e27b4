/**
 * The one error type that crosses a package boundary.
 *
 * Three kinds of failure, three mechanisms:
 *   - the caller expects it: a value in the return type, never thrown;
 *   - the world failed: CloudlessError, thrown, with a code to act on;
 *   - our code is wrong: assert(), which crashes the process.
 *
 * Callers branch on `code`, never on message text. Codes travel between nodes of different versions, so a code may be
 * added but never renamed or reused. docs/operating/errors.md lists them for operators.
 */

/** Whether repeating the identical request can succeed without anyone acting. */
const retryableByCode = {
  invalid_argument: false,
  unauthenticated: false,
  permission_denied: false,
  not_found: false,
  already_exists: false,
  failed_precondition: false,
  conflict: true,
  resource_exhausted: true,
  unavailable: true,
  deadline_exceeded: true,
  cancelled: false,
  unimplemented: false,
  corrupt_data: false,
  internal: false,
} as const

export type ErrorCode = keyof typeof retryableByCode

export const errorCodes = Object.keys(retryableByCode) as readonly ErrorCode[]

/** Small facts for logs and tests. Never secrets: details may be sent to a peer. */
export type ErrorDetails = Readonly<Record<string, string | number>>

export interface CloudlessErrorOptions {
  readonly details?: ErrorDetails
  readonly cause?: unknown
}

export class CloudlessError extends Error {
  override readonly name = 'CloudlessError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: CloudlessErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  get retryable(): boolean {
    return retryableByCode[this.code]
  }

  /** For catch blocks: whatever was thrown, what leaves is a CloudlessError. */
  static from(reason: unknown, context?: string): CloudlessError {
    const prefix = context === undefined ? '' : `${context}: `
    if (reason instanceof CloudlessError) {
      if (context === undefined) return reason
      return new CloudlessError(reason.code, prefix + reason.message, {
        details: reason.details,
        cause: reason,
      })
    }
    return new CloudlessError(codeOfSystemError(reason), prefix + messageOf(reason), {
      cause: reason,
    })
  }
}

/** The text of anything that was thrown. */
export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason)
}

const codeBySystemCode: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'not_found',
  EEXIST: 'already_exists',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  ENOSPC: 'resource_exhausted',
  EDQUOT: 'resource_exhausted',
  EMFILE: 'resource_exhausted',
  ECONNREFUSED: 'unavailable',
  ECONNRESET: 'unavailable',
  EPIPE: 'unavailable',
  EHOSTUNREACH: 'unavailable',
  ENETUNREACH: 'unavailable',
  ENOTFOUND: 'unavailable',
  ETIMEDOUT: 'deadline_exceeded',
  ABORT_ERR: 'cancelled',
}

/** The system's own code ("ENOENT") of anything that was thrown, if it has one. */
export function systemCodeOf(reason: unknown): string | undefined {
  if (!(reason instanceof Error) || !('code' in reason)) return undefined
  return typeof reason.code === 'string' ? reason.code : undefined
}

function codeOfSystemError(reason: unknown): ErrorCode {
  if (reason instanceof Error && reason.name === 'AbortError') return 'cancelled'
  if (reason instanceof Error && reason.name === 'TimeoutError') return 'deadline_exceeded'
  const systemCode = systemCodeOf(reason)
  return (systemCode === undefined ? undefined : codeBySystemCode[systemCode]) ?? 'internal'
}

/** A mistake of ours: crash rather than go on with a broken invariant. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message)
}

/** Marks a bug; never caught, except by a process's last handler, which exits. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure'
}

/** For the `default` of a switch over a union: the compiler proves it is not reached. */
export function assertNever(value: never): never {
  throw new AssertionFailure(`unexpected value: ${JSON.stringify(value)}`)
}
