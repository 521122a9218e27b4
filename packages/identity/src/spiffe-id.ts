/** Names of identities: `spiffe://<trust domain>/<type>/<id>`, exactly two path segments, in a certificate's URI SAN. */
import { assert, problemWithSubdomain } from '@cloudless/base'

export const identityTypes = ['node', 'workload', 'service', 'controller', 'operator'] as const

export type IdentityType = (typeof identityTypes)[number]

export interface SpiffeId {
  /** A DNS-1123 subdomain, such as "cloudless". */
  readonly trustDomain: string
  readonly type: IdentityType
  /** 1 to 253 of letters, digits, "-", "_" and "."; not "." nor "..". */
  readonly id: string
}

const shape = /^spiffe:\/\/([^/]+)\/([a-z]+)\/([A-Za-z0-9._-]{1,253})$/

/** Undefined when `text` is not one of our ids; nothing is normalised. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  const match = shape.exec(text)
  if (match === null) return undefined
  const [, trustDomain, typeName, id] = match as unknown as [string, string, string, string]
  const type = identityTypes.find((known) => known === typeName)
  if (type === undefined || problemWithSubdomain(trustDomain) !== undefined) return undefined
  if (id === '.' || id === '..') return undefined
  return { trustDomain, type, id }
}

/** The URI. An id that cannot be read back is a bug of the caller. */
export function formatSpiffeId(spiffeId: SpiffeId): string {
  const text = `spiffe://${spiffeId.trustDomain}/${spiffeId.type}/${spiffeId.id}`
  assert(parseSpiffeId(text) !== undefined, `not a SPIFFE id: ${text}`)
  return text
}
