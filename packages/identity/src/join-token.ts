/**
 * Join tokens: what a device shows to become a member. A JWT signed (HS256) with a key only the coordinators hold; it
 * carries the fingerprint of the CA, so that the first contact already knows whom it may trust.
 *
 * A signature says that a token was made here and has not expired. Whether it was revoked or used up is in the store.
 */
import { createHmac } from 'node:crypto'
import { CloudlessError } from '@cloudless/base'
import type { JWTPayload } from 'jose'

export interface JoinTokenClaims {
  /** "jt-" and 12 characters. */
  readonly tokenId: string
  /** SHA-256 of the CA's certificate, lower-case hex. */
  readonly caFingerprint: string
  readonly maxUses: number
  /** Unix milliseconds; stored in whole seconds. */
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** Scope: absent means any. */
  readonly nodeId?: string
  readonly nodeName?: string
  readonly region?: string
  readonly zone?: string
  /** Lets a coordinator join, and no node. */
  readonly forCoordinator?: boolean
  /** Where coordinators answer, "host:port". */
  readonly addresses?: readonly string[]
}

export type JoinTokenVerdict =
  | { readonly kind: 'valid'; readonly claims: JoinTokenClaims }
  | {
      readonly kind: 'invalid'
      readonly reason: 'malformed' | 'not-ours' | 'expired'
      /** One sentence for people. */
      readonly message: string
    }

const issuer = 'cloudless-coordinator'
const algorithm = 'HS256'
const tokenLengthMax = 8_192
const header = base64url({ alg: algorithm, typ: 'JWT' })

/**
 * JWS compact serialization, HS256 (RFC 7515): written here and not with the library that reads it, whose way through Web
 * Crypto and its threads takes longer than all else that a coordinator does for a token.
 */
export function signJoinToken(key: Uint8Array, claims: JoinTokenClaims): string {
  const payload: JWTPayload = {
    token_id: claims.tokenId,
    max_uses: claims.maxUses,
    ca: claims.caFingerprint,
    ...(claims.nodeId === undefined ? {} : { node_id: claims.nodeId }),
    ...(claims.nodeName === undefined ? {} : { node_name: claims.nodeName }),
    ...(claims.region === undefined ? {} : { region: claims.region }),
    ...(claims.zone === undefined ? {} : { zone: claims.zone }),
    ...(claims.forCoordinator === true ? { role: 'coordinator' } : {}),
    ...(claims.addresses === undefined ? {} : { addresses: [...claims.addresses] }),
    iss: issuer,
    jti: claims.tokenId,
    iat: Math.floor(claims.issuedAtMs / 1_000),
    exp: Math.ceil(claims.expiresAtMs / 1_000),
  }
  const content = `${header}.${base64url(payload)}`
  return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Checks signature, algorithm, issuer and expiry, by the coordinator's clock. */
export async function verifyJoinToken(
  key: Uint8Array,
  token: string,
  nowMs: number,
): Promise<JoinTokenVerdict> {
  if (token.length > tokenLengthMax) return malformed
  const { jwtVerify, errors } = await import('jose')
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      issuer,
      currentDate: new Date(nowMs),
      requiredClaims: ['exp', 'iat', 'token_id'],
    })
    const claims = claimsOf(payload)
    return claims === undefined ? malformed : { kind: 'valid', claims }
  } catch (reason) {
    if (reason instanceof errors.JWTExpired) return expired(reason.payload)
    if (reason instanceof errors.JWTInvalid || reason instanceof errors.JWSInvalid) return malformed
    return notOurs // A wrong signature, algorithm or issuer: telling which would help a forger.
  }
}

/**
 * What a token says, unchecked: for the device that holds it, which has no key to check it with.
 * `invalid_argument` when it is not a join token.
 */
export async function decodeJoinToken(token: string): Promise<JoinTokenClaims> {
  const { decodeJwt } = await import('jose')
  let claims: JoinTokenClaims | undefined
  let cause: unknown
  try {
    claims = token.length > tokenLengthMax ? undefined : claimsOf(decodeJwt(token.trim()))
  } catch (reason) {
    cause = reason
  }
  if (claims !== undefined) return claims
  throw new CloudlessError('invalid_argument', malformed.message, { cause })
}

const malformed = {
  kind: 'invalid',
  reason: 'malformed',
  message: 'this is not a join token: copy it whole, or make one with `cloudlessctl token create`',
} as const

const notOurs = {
  kind: 'invalid',
  reason: 'not-ours',
  message: 'the join token was not made by this cluster: make one with `cloudlessctl token create`',
} as const

function expired(payload: JWTPayload): JoinTokenVerdict {
  const at = new Date(Number(payload.exp) * 1_000).toISOString()
  return {
    kind: 'invalid',
    reason: 'expired',
    message: `the join token expired at ${at}: make one with \`cloudlessctl token create\``,
  }
}

function claimsOf(payload: JWTPayload): JoinTokenClaims | undefined {
  const { token_id: tokenId, ca: caFingerprint, max_uses: maxUses, iat, exp } = payload
  if (typeof tokenId !== 'string' || typeof caFingerprint !== 'string') return undefined
  if (typeof maxUses !== 'number' || iat === undefined || exp === undefined) return undefined
  if (!/^[0-9a-f]{64}$/.test(caFingerprint)) return undefined
  const addresses = payload['addresses']
  return {
    tokenId,
    caFingerprint,
    maxUses,
    issuedAtMs: iat * 1_000,
    expiresAtMs: exp * 1_000,
    ...textClaim('nodeId', payload['node_id']),
    ...textClaim('nodeName', payload['node_name']),
    ...textClaim('region', payload['region']),
    ...textClaim('zone', payload['zone']),
    ...(payload['role'] === 'coordinator' ? { forCoordinator: true } : {}),
    ...(Array.isArray(addresses) && addresses.every((address) => typeof address === 'string')
      ? { addresses }
      : {}),
  }
}

function textClaim<Name extends string>(name: Name, value: unknown): { [K in Name]?: string } {
  return typeof value === 'string' && value !== ''
    ? ({ [name]: value } as { [K in Name]?: string })
    : {}
}
