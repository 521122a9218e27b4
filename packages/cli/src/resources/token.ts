import { JoinTokenSchema, type JoinToken } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { age, orDash } from './format.ts'
import type { Resource } from './resource.ts'

/** "usable", "revoked", "used up" or "expired". */
export function tokenStatus(token: JoinToken, nowMs: number): string {
  if (token.revoked) return 'revoked'
  if (Number(token.expiresAtMs) <= nowMs) return 'expired'
  return token.uses >= token.maxUses ? 'used up' : 'usable'
}

/** "node edge-1, zone home"; "any node" when it has no scope. */
export function tokenScope(token: JoinToken): string {
  if (token.forCoordinator) return 'a coordinator'
  const parts = [
    ...(token.nodeName === '' ? [] : [`node ${token.nodeName}`]),
    ...(token.region === '' ? [] : [`region ${token.region}`]),
    ...(token.zone === '' ? [] : [`zone ${token.zone}`]),
  ]
  return parts.length === 0 ? 'any node' : parts.join(', ')
}

export const tokenResource: Resource<typeof JoinTokenSchema> = {
  singular: 'token',
  plural: 'tokens',
  schema: JoinTokenSchema,
  nameOf: (token) => token.id,
  columns: [
    { title: 'ID', value: (token) => token.id },
    { title: 'STATUS', value: tokenStatus },
    { title: 'USES', value: (token) => `${token.uses}/${token.maxUses}` },
    { title: 'SCOPE', value: tokenScope },
    {
      title: 'EXPIRES IN',
      value: (token, nowMs) => {
        const leftMs = Number(token.expiresAtMs) - nowMs
        return leftMs > 0 ? formatDurationMs(leftMs) : '-'
      },
    },
    { title: 'AGE', value: (token, nowMs) => age(token.createdAtMs, nowMs) },
    { title: 'DESCRIPTION', value: (token) => orDash(token.description) },
    { title: 'USED BY', wide: true, value: (token) => orDash(token.usedBy.join(',')) },
  ],
}
