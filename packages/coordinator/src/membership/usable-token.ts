/** Whether a join token still lets anyone in, and its use. */
import type { JoinTokenRecord } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'

export type TokenPurpose = 'node' | 'coordinator'

/** `unauthenticated`, with what to do, when it lets nobody in; `permission_denied` when it is for something else. */
export function usableToken(
  token: JoinTokenRecord | undefined,
  asked: { readonly nowMs: number; readonly tokenId: string; readonly purpose: TokenPurpose },
): JoinTokenRecord {
  const { nowMs, tokenId, purpose } = asked
  const flag = purpose === 'coordinator' ? ' --for-coordinator' : ''
  const make = `make another with \`cloudlessctl token create${flag}\``
  if (!token) {
    throw new CloudlessError('unauthenticated', `the join token ${tokenId} is not known: ${make}`)
  }
  const { revoked, uses, maxUses, expiresAtMs, usedBy, forCoordinator } = token.joinToken!
  if (forCoordinator !== (purpose === 'coordinator')) {
    const made = forCoordinator ? 'a coordinator' : 'nodes'
    throw new CloudlessError(
      'permission_denied',
      `the join token ${tokenId} is for ${made}: ${make}`,
    )
  }
  if (revoked) {
    throw new CloudlessError('unauthenticated', `the join token ${tokenId} was revoked: ${make}`)
  }
  if (Number(expiresAtMs) <= nowMs) {
    throw new CloudlessError('unauthenticated', `the join token ${tokenId} has expired: ${make}`)
  }
  if (uses >= maxUses) {
    throw new CloudlessError(
      'unauthenticated',
      `the join token ${tokenId} is used up (${uses} of ${maxUses}, last by ${usedBy.at(-1)}): ${make}`,
    )
  }
  return token
}

/** Names of users kept on a token; enough to see who, bounded for a token of 10,000 uses. */
const usersKeptMax = 100

export function usedOnce(token: JoinTokenRecord, user: string): JoinTokenRecord {
  const joinToken = token.joinToken!
  const usedBy = [...joinToken.usedBy, user].slice(-usersKeptMax)
  return { ...token, joinToken: { ...joinToken, uses: joinToken.uses + 1, usedBy } }
}
