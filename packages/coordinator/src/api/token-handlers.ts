/** CoordinatorService's calls about join tokens. */
import { create } from '@bufbuild/protobuf'
import { EmptySchema } from '@bufbuild/protobuf/wkt'
import {
  CreateJoinTokenResponseSchema,
  JoinTokenRecordSchema,
  JoinTokenSchema,
  ListJoinTokensResponseSchema,
  pageOf,
  type CreateJoinTokenRequest,
  type CreateJoinTokenResponse,
  type JoinToken,
  type JoinTokenRecord,
  type ListJoinTokensRequest,
  type RevokeJoinTokenRequest,
} from '@cloudless/api'
import {
  CloudlessError,
  problemWithLabel,
  randomId,
  type Clock,
  type Random,
} from '@cloudless/base'
import { signJoinToken, type CertificateAuthority } from '@cloudless/identity'
import { absent, putRecord, unchanged, type ClusterState } from '../state/cluster-state.ts'
import { rememberNothing, type Remember } from '../state/remember.ts'

export interface TokenHandlersDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly authority: CertificateAuthority
  /** "host:port" where agents reach the coordinators; travels in the token. */
  readonly addresses: () => readonly string[]
  readonly onChanged: (token: JoinToken, action: 'create' | 'revoke') => void
}

const ttlMsDefault = 86_400_000
const ttlMsMax = 365 * 86_400_000
const usesMax = 10_000

export function tokenHandlers(deps: TokenHandlersDeps) {
  const { state, clock } = deps

  /** The answer with its token: a secret, so it is never stored, but signed anew, to the same text. */
  function withToken(answer: CreateJoinTokenResponse): CreateJoinTokenResponse {
    if (answer.token !== '') return answer
    const { id, maxUses, createdAtMs, expiresAtMs, nodeName, region, zone, forCoordinator } =
      answer.joinToken!
    const addresses = deps.addresses()
    const token = signJoinToken(deps.authority.tokenKey, {
      tokenId: id,
      caFingerprint: deps.authority.fingerprint,
      maxUses,
      issuedAtMs: Number(createdAtMs),
      expiresAtMs: Number(expiresAtMs),
      ...(nodeName === '' ? {} : { nodeName }),
      ...(region === '' ? {} : { region }),
      ...(zone === '' ? {} : { zone }),
      ...(forCoordinator ? { forCoordinator } : {}),
      ...(addresses.length === 0 ? {} : { addresses }),
    })
    return create(CreateJoinTokenResponseSchema, { ...answer, token })
  }

  return {
    async createJoinToken(
      request: CreateJoinTokenRequest,
      remember: Remember<CreateJoinTokenResponse> = rememberNothing,
    ): Promise<CreateJoinTokenResponse> {
      const joinToken = newToken(request, clock.wallMs(), `jt-${randomId(deps.random, 12)}`)
      const withoutToken = create(CreateJoinTokenResponseSchema, {
        joinToken,
        caFingerprint: deps.authority.fingerprint,
      })
      const record = create(JoinTokenRecordSchema, { joinToken })
      await state.update(() => ({
        preconditions: [absent('token', joinToken.id), ...remember.preconditions],
        writes: [putRecord('token', joinToken.id, record), ...remember.writes(withoutToken)],
        result: undefined,
      }))
      deps.onChanged(joinToken, 'create')
      return withToken(withoutToken)
    },

    withToken,

    listJoinTokens(request: ListJoinTokensRequest) {
      const tokens = [...state.all('token')].map((held) => held.record.joinToken!)
      const key = (token: JoinToken): string =>
        `${String(token.createdAtMs).padStart(16, '0')}/${token.id}`
      const page = pageOf(tokens, key, request)
      return create(ListJoinTokensResponseSchema, {
        joinTokens: [...page.items],
        nextToken: page.nextToken,
        total: page.total,
      })
    },

    async revokeJoinToken(request: RevokeJoinTokenRequest) {
      const revoked = await state.update(() => {
        const held = state.held('token', request.tokenId)
        if (!held) {
          throw new CloudlessError(
            'not_found',
            `there is no join token "${request.tokenId}"; \`cloudlessctl token list\` shows them`,
          )
        }
        const joinToken = { ...held.record.joinToken!, revoked: true }
        const record: JoinTokenRecord = { ...held.record, joinToken }
        return {
          preconditions: [unchanged('token', held)],
          writes: [putRecord('token', held.id, record)],
          result: joinToken,
        }
      })
      deps.onChanged(revoked!, 'revoke')
      return create(EmptySchema)
    },
  }
}

function newToken(request: CreateJoinTokenRequest, nowMs: number, id: string): JoinToken {
  const ttlMs = Number(request.ttlMs) || ttlMsDefault
  const maxUses = request.maxUses || 1
  const problem =
    (ttlMs < 1_000 || ttlMs > ttlMsMax ? 'ttl_ms: must be one second to 365 days' : undefined) ??
    (maxUses < 1 || maxUses > usesMax ? `max_uses: must be 1 to ${usesMax}` : undefined) ??
    (request.description.length > 256
      ? 'description: must have at most 256 characters'
      : undefined) ??
    (request.forCoordinator && (request.nodeName || request.region || request.zone) !== ''
      ? 'for_coordinator: such a token has no scope of nodes'
      : undefined) ??
    scopeProblem('node_name', request.nodeName) ??
    scopeProblem('region', request.region) ??
    scopeProblem('zone', request.zone)
  if (problem) throw new CloudlessError('invalid_argument', problem)
  return create(JoinTokenSchema, {
    id,
    createdAtMs: BigInt(nowMs),
    expiresAtMs: BigInt(nowMs + ttlMs),
    maxUses,
    nodeName: request.nodeName,
    region: request.region,
    zone: request.zone,
    description: request.description,
    forCoordinator: request.forCoordinator,
  })
}

function scopeProblem(field: string, value: string): string | undefined {
  const problem = value === '' ? undefined : problemWithLabel(value)
  return problem && `${field}: ${problem}`
}
