/**
 * Becoming a member with a join token.
 *
 * The token carries the CA's fingerprint: the CA is fetched and checked against it first, and only a connection verified by
 * that CA sees the token. Key, request and idempotency key are on disk before anything is sent, so that a crash at any line
 * costs no second use of the token. A coordinator that is away is waited for; a refusal is final.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { EnrollNodeRequestSchema, fromConnectError, type Node } from '@cloudless/api'
import {
  backoffDelayMs,
  CloudlessError,
  formatAddress,
  sleep,
  type Clock,
  type ErrorCode,
  type Random,
} from '@cloudless/base'
import {
  fetchCaCertificate,
  type JoinTokenClaims,
  type LoadedCredentials,
  type PendingEnrolment,
} from '@cloudless/identity'
import type { AgentLogger } from '../logger.ts'
import { connectToCoordinator, parseCoordinatorAddress } from './coordinator-connection.ts'
import { prepareEnrolment, type EnrolmentMaterial } from './enrolment-material.ts'
import type { NodeIdentity } from './node-identity.ts'

export interface EnrolmentDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: AgentLogger
  readonly identity: NodeIdentity
}

export interface EnrolmentOptions {
  readonly token: string
  /** When it is already being prepared. */
  readonly material?: Promise<EnrolmentMaterial>
  readonly trustDomain: string
  /** "host:port"; the token's addresses are used when empty. */
  readonly addresses: readonly string[]
  /** Name, place, capacity and the rest of the request. */
  readonly request: MessageInitShape<typeof EnrollNodeRequestSchema>
  readonly signal: AbortSignal
}

export interface Enrolled {
  readonly credentials: LoadedCredentials
  readonly node: Node | undefined
  readonly addresses: readonly string[]
}

const callMsMax = 10_000
const backoff = { delayMsMin: 200, delayMsMax: 5_000 } as const
const retried: ReadonlySet<ErrorCode> = new Set([
  'unavailable',
  'deadline_exceeded',
  'resource_exhausted',
  'internal',
  'conflict',
  'cancelled',
])

/** Retries until it is a member, refused (the refusal is thrown) or aborted (`cancelled`). */
export async function enrol(deps: EnrolmentDeps, options: EnrolmentOptions): Promise<Enrolled> {
  const { token } = options
  if (token === '') throw noToken()
  const request = { token, identityDirectory: deps.identity.directory }
  const { claims, pending } = await (options.material ?? prepareEnrolment(request))
  const addresses = options.addresses.length > 0 ? options.addresses : (claims.addresses ?? [])
  if (addresses.length === 0) {
    throw new CloudlessError(
      'invalid_argument',
      'the join token names no coordinator: say where it is with --coordinator-addr host:port',
    )
  }
  for (let attempt = 0; ; attempt++) {
    const address = addresses[attempt % addresses.length]!
    try {
      return { ...(await enrolAt(deps, options, { claims, pending, address })), addresses }
    } catch (reason) {
      const error = fromConnectError(reason)
      if (options.signal.aborted) throw new CloudlessError('cancelled', 'the agent was stopped')
      if (!retried.has(error.code)) throw refusal(error, address)
      const delayMs = backoffDelayMs(deps.random, Math.floor(attempt / addresses.length), backoff)
      deps.logger.warn(
        { address, attempt: attempt + 1, code: error.code },
        `cannot enrol at ${address} yet, trying again in ${Math.round(delayMs)} ms: ${error.message}`,
      )
      await sleep(deps.clock, delayMs, options.signal).catch(() => undefined) // Looked at above.
    }
  }
}

function noToken(): CloudlessError {
  return new CloudlessError(
    'failed_precondition',
    'this node is not a member of a cluster yet: give it a token with --join-token ' +
      '(make one with `cloudlessctl token create`)',
  )
}

interface Attempt {
  readonly claims: JoinTokenClaims
  readonly pending: PendingEnrolment
  readonly address: string
}

async function enrolAt(
  deps: EnrolmentDeps,
  options: EnrolmentOptions,
  { claims, pending, address }: Attempt,
): Promise<Omit<Enrolled, 'addresses'>> {
  const { signal, trustDomain, token } = options
  const { host, port } = parseCoordinatorAddress(address)
  const fingerprint = claims.caFingerprint
  const caPem = await fetchCaCertificate({ host, port, fingerprint, timeoutMs: callMsMax, signal })
  const connection = connectToCoordinator({
    address: formatAddress({ host, port }),
    caPem,
    trustDomain,
  })
  try {
    const request = create(EnrollNodeRequestSchema, {
      ...options.request,
      token,
      csrPem: pending.csrPem,
      idempotencyKey: pending.idempotencyKey,
    })
    const answer = await connection.client.enrollNode(request, { signal, timeoutMs: callMsMax })
    const credentials = deps.identity.saveCredentials({
      keyPem: pending.keyPem,
      certificatePem: answer.certificate,
      caPem: answer.caCertificate || caPem,
    })
    deps.identity.keepCsr(pending.keyPem, pending.csrPem)
    return { credentials, node: answer.node }
  } finally {
    connection.close()
  }
}

function refusal(error: CloudlessError, address: string): CloudlessError {
  return new CloudlessError(error.code, `${address} refused to enrol this node: ${error.message}`, {
    details: error.details,
    cause: error,
  })
}
