/** What containerd answered, as a CloudlessError with a sentence for people. */
import { CloudlessError, type ErrorCode } from '@cloudless/base'
import { Code, ConnectError } from '@connectrpc/connect'

const codeByConnectCode: Readonly<Partial<Record<Code, ErrorCode>>> = {
  [Code.Canceled]: 'cancelled',
  [Code.InvalidArgument]: 'invalid_argument',
  [Code.DeadlineExceeded]: 'deadline_exceeded',
  [Code.NotFound]: 'not_found',
  [Code.AlreadyExists]: 'already_exists',
  [Code.PermissionDenied]: 'permission_denied',
  [Code.ResourceExhausted]: 'resource_exhausted',
  [Code.FailedPrecondition]: 'failed_precondition',
  [Code.Aborted]: 'conflict',
  [Code.Unimplemented]: 'unimplemented',
  [Code.Unavailable]: 'unavailable',
  [Code.DataLoss]: 'corrupt_data',
  [Code.Unauthenticated]: 'unauthenticated',
}

/** Runs a call of containerd; what it throws says what was tried. */
export async function callContainerd<T>(attempt: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (reason) {
    throw errorOfContainerd(reason, attempt)
  }
}

/** As callContainerd, but an absent thing is an answer: undefined. */
export async function callOrAbsent<T>(
  attempt: string,
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call()
  } catch (reason) {
    if (isNotFound(reason)) return undefined
    throw errorOfContainerd(reason, attempt)
  }
}

export function isNotFound(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.NotFound
}

export function isAlreadyThere(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.AlreadyExists
}

/** `attempt` completes "Could not ...". */
export function errorOfContainerd(reason: unknown, attempt: string): CloudlessError {
  if (reason instanceof CloudlessError) return CloudlessError.from(reason, `Could not ${attempt}`)
  if (!(reason instanceof ConnectError)) return CloudlessError.from(reason, `Could not ${attempt}`)
  const text = reason.rawMessage
  if (/no space left on device|disk quota exceeded/i.test(text)) {
    return new CloudlessError(
      'resource_exhausted',
      `Could not ${attempt}: the disk is full. Free space on containerd's disk. (${text})`,
      { cause: reason },
    )
  }
  if (reason.code === Code.Unavailable || isBrokenConnection(text)) {
    return new CloudlessError(
      'unavailable',
      `Could not ${attempt}: containerd does not answer (${text}). Is it running?`,
      { cause: reason },
    )
  }
  return new CloudlessError(
    codeByConnectCode[reason.code] ?? 'internal',
    `Could not ${attempt}: ${text}`,
    { cause: reason },
  )
}

/** containerd going away shows as several codes, depending on where the call was. */
function isBrokenConnection(text: string): boolean {
  return (
    /ECONNREFUSED|ECONNRESET|EPIPE|ENOENT.*sock|connect ENOENT|ERR_HTTP2|NGHTTP2/.test(text) ||
    /stream.*(closed|reset)|ttrpc: closed|transport is closing|socket hang up/i.test(text)
  )
}
