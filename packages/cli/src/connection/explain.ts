/** From what the transport throws to one sentence a person can act on. */
import { fromConnectError } from '@cloudless/api'
import { CloudlessError, messageOf, systemCodeOf, type ErrorCode } from '@cloudless/base'
import { ConnectError } from '@connectrpc/connect'

interface Failure {
  readonly address: string
  readonly reason: unknown
}

/** When no coordinator could be reached at all. */
export function explainConnectFailure(failures: readonly Failure[]): CloudlessError {
  const [first, ...others] = failures.map(({ address, reason }) => ({
    address,
    why: whyNotConnected(reason),
    cause: reason,
  }))
  const tried =
    others.length === 0
      ? `cannot reach the coordinator at ${first!.address}: ${first!.why}.`
      : `cannot reach any coordinator: ${[first!, ...others].map(inShort).join('; ')}.`
  const untrusted = failures.every(({ reason }) => isTrustProblem(reason))
  const advice = untrusted
    ? ' Is this the cluster that --ca-file (or the context) belongs to?'
    : ' Is it running? Start it with `make up`, or name another with --coordinator.'
  return new CloudlessError('unavailable', tried + advice, { cause: first!.cause })
}

function inShort({ address, why }: { readonly address: string; readonly why: string }): string {
  return `${address}: ${why}`
}

const whyBySystemCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'it does not answer',
  ERR_SSL_WRONG_VERSION_NUMBER: 'something other than a coordinator listens there',
  ERR_HTTP2_ERROR: 'something other than a coordinator listens there',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of another cluster',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is of another cluster',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of another cluster',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of another cluster',
  CERT_SIGNATURE_FAILURE: 'its certificate is of another cluster',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet (is a clock wrong?)',
}

const trustCodes = new Set(
  Object.entries(whyBySystemCode)
    .filter(([, why]) => why === 'its certificate is of another cluster')
    .map(([code]) => code),
)

function isTrustProblem(reason: unknown): boolean {
  return causes(reason).some((cause) => trustCodes.has(systemCodeOf(cause) ?? ''))
}

function whyNotConnected(reason: unknown): string {
  for (const cause of causes(reason)) {
    const known = whyBySystemCode[systemCodeOf(cause) ?? '']
    if (known !== undefined) return known
  }
  const deepest = causes(reason).at(-1)
  return deepest instanceof ConnectError ? deepest.rawMessage : messageOf(deepest)
}

/** The reason, its cause, the cause's cause; an AggregateError stands for its first error. */
function causes(reason: unknown): unknown[] {
  const chain: unknown[] = []
  let current = reason
  while (current !== undefined && chain.length < 8) {
    chain.push(current)
    if (current instanceof AggregateError && current.errors.length > 0) current = current.errors[0]
    else current = current instanceof Error ? current.cause : undefined
  }
  return chain
}

/** From anything a command throws. Answers keep the coordinator's own sentence. */
export function explainFailure(reason: unknown): CloudlessError {
  if (!(reason instanceof ConnectError)) return CloudlessError.from(reason)
  const error = fromConnectError(reason)
  const { code } = error
  const transportWhy = causes(reason.cause)
    .map((cause) => whyBySystemCode[systemCodeOf(cause) ?? ''])
    .find((why) => why !== undefined)
  // What we cancelled ourselves is told apart by our signal, before anybody asks for an explanation.
  const broken = transportWhy !== undefined || code === 'cancelled'
  if (broken && ['unavailable', 'internal', 'cancelled'].includes(code)) {
    const why = transportWhy ?? 'it was closed'
    const message = `the connection to the coordinator broke: ${why}. Try again.`
    return new CloudlessError('unavailable', message, { cause: reason })
  }
  if (code === 'deadline_exceeded') {
    return new CloudlessError(
      'unavailable',
      'the coordinator did not answer in time. Try again, or allow more with --request-timeout.',
      { cause: reason },
    )
  }
  const message = reason.rawMessage || 'the coordinator gave no reason'
  return new CloudlessError(code, message + adviceFor(code), {
    details: error.details,
    cause: reason,
  })
}

function adviceFor(code: ErrorCode): string {
  switch (code) {
    case 'unauthenticated':
      return ' (check cert_file and key_file of the context: `cloudlessctl config view`)'
    case 'unimplemented':
      return ' (the coordinator may be older than this cloudlessctl: `cloudlessctl version`)'
    default:
      return ''
  }
}
