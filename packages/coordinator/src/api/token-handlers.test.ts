import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  CreateJoinTokenRequestSchema,
  ListJoinTokensRequestSchema,
  RevokeJoinTokenRequestSchema,
} from '@cloudless/api'
import { systemClock, systemRandom } from '@cloudless/base'
import { decodeJoinToken, openCertificateAuthority, verifyJoinToken } from '@cloudless/identity'
import { cleanUp, openCluster } from '../testing/cluster.ts'
import { tokenHandlers } from './token-handlers.ts'

async function openTokens(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-tokens-'))
  cleanUp(t, () => rmSync(directory, { recursive: true, force: true }))
  const cluster = await openCluster(t)
  const authority = await openCertificateAuthority(
    { clock: systemClock },
    { directory: join(directory, 'ca'), trustDomain: 'cloudless' },
  )
  const handlers = tokenHandlers({
    state: cluster.state,
    clock: systemClock,
    random: systemRandom,
    authority,
    addresses: () => ['c:1'],
    onChanged: () => undefined,
  })
  const make = (facts: MessageInitShape<typeof CreateJoinTokenRequestSchema> = {}) =>
    handlers.createJoinToken(create(CreateJoinTokenRequestSchema, facts))
  return { ...cluster, handlers, authority, make }
}

test('a token carries what a device needs and is on record without its secret', async (t) => {
  const { make, authority, state } = await openTokens(t)
  const { token, joinToken } = await make({ region: 'eu' })
  const verdict = await verifyJoinToken(authority.tokenKey, token, systemClock.wallMs())
  assert.equal(verdict.kind, 'valid')
  const claims = await decodeJoinToken(token)
  assert.equal(claims.caFingerprint, authority.fingerprint)
  assert.deepEqual(claims.addresses, ['c:1'])
  assert.equal(joinToken!.maxUses, 1)
  assert.equal(joinToken!.expiresAtMs - joinToken!.createdAtMs, 86_400_000n)
  const stored = state.get('token', joinToken!.id)!
  assert.ok(!JSON.stringify(stored, (_, value) => String(value)).includes(token))
})

const bad: readonly MessageInitShape<typeof CreateJoinTokenRequestSchema>[] = [
  { ttlMs: -1n },
  { ttlMs: 999n },
  { ttlMs: 366n * 86_400_000n },
  { maxUses: -1 },
  { maxUses: 10_001 },
  { nodeName: 'Not A Label' },
  { description: 'x'.repeat(257) },
]
for (const [n, facts] of bad.entries()) {
  test(`a token that asks for too much is refused (${n + 1})`, async (t) => {
    const { make, state } = await openTokens(t)
    await assert.rejects(make(facts), { code: 'invalid_argument' })
    assert.equal(state.count('token'), 0)
  })
}

test('tokens are listed and revoked', async (t) => {
  const { make, handlers } = await openTokens(t)
  const { joinToken } = await make()
  await make()
  const list = () => handlers.listJoinTokens(create(ListJoinTokensRequestSchema, {})).joinTokens
  assert.equal(list().length, 2)
  const tokenId = joinToken!.id
  await handlers.revokeJoinToken(create(RevokeJoinTokenRequestSchema, { tokenId }))
  assert.equal(list().find(({ id }) => id === tokenId)!.revoked, true)
  const unknown = create(RevokeJoinTokenRequestSchema, { tokenId: 'jt-x' })
  await assert.rejects(handlers.revokeJoinToken(unknown), { code: 'not_found' })
})
