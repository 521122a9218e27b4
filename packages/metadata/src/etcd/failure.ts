/** What an answer of etcd that is no result means for the caller. */
import { fromConnectError } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { Code, ConnectError } from '@connectrpc/connect'

/**
 * Whether the call may have been carried out although it failed: it was under way when the connection or the leader went.
 * What etcd refuses it has not done; a member that could not be reached has not heard of it.
 */
export function leavesOutcomeUnknown(reason: unknown): boolean {
  if (wasNotTaken(reason)) return false
  const { code } = ConnectError.from(reason)
  return passing.has(code) || code === Code.Unknown
}

/** Nobody heard it, or who heard it had no leader to give it to (`requireLeader`). */
export function wasNotTaken(reason: unknown): boolean {
  return wasNeverSent(reason) || ConnectError.from(reason).rawMessage === noLeader
}

const noLeader = 'etcdserver: no leader'

/** Nobody listened, or nobody who could be believed. */
export function wasNeverSent(reason: unknown): boolean {
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && neverConnected.has(String(cause.code))) return true
  }
  return false
}

const neverConnected = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ENOENT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
])

/** Whether another member, or the same one a little later, may well answer. Not asked of calls that we cancel ourselves. */
export function isPassing(reason: unknown): boolean {
  if (wasNeverSent(reason)) return true
  const { code, rawMessage } = ConnectError.from(reason)
  return passing.has(code) || rawMessage.includes('too many requests')
}

/** A connection that breaks off ends its calls as cancelled, aborted or worse. */
const passing = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Aborted,
  Code.Internal,
])

export interface FailedCall {
  /** Such as "writing to". */
  readonly attempt: string
  /** "host:port" of the members that were asked. */
  readonly members: readonly string[]
}

/** As the contract of the store has it. */
export function explainFailure(reason: unknown, { attempt, members }: FailedCall): CloudlessError {
  if (reason instanceof CloudlessError) return reason
  const what = `${attempt} the metadata store (etcd at ${members.join(', ')})`
  const { rawMessage } = ConnectError.from(reason)
  const options = { cause: reason }
  if (rawMessage.includes('database space exceeded')) {
    return new CloudlessError(
      'resource_exhausted',
      `${what}: its database is as large as it may be, and nothing was written`,
      { ...options, details: { alarm: 'NOSPACE' } },
    )
  }
  if (rawMessage.includes('too many requests')) {
    return new CloudlessError('resource_exhausted', `${what}: it has too much to do`, options)
  }
  if (rawMessage.includes('lease not found')) {
    return new CloudlessError('failed_precondition', `${what}: the lease has ended`, options)
  }
  if (rawMessage.includes('revision has been compacted')) {
    const text = `${what}: what it was at that revision has been forgotten; begin anew`
    return new CloudlessError('failed_precondition', text, options)
  }
  const error = fromConnectError(reason, what)
  return isPassing(reason) ? new CloudlessError('unavailable', error.message, options) : error
}

/** A transaction that may have been committed, and may not: never reported as either. */
export function outcomeUnknown(reason: unknown, call: FailedCall): CloudlessError {
  const { message } = explainFailure(reason, call)
  return new CloudlessError('unavailable', `${message}; it is not known whether it was done`, {
    cause: reason,
    details: { outcome: 'unknown' },
  })
}
