import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import { decodeJoinToken, signJoinToken, verifyJoinToken } from './join-token.ts'

const key = new Uint8Array(32).fill(7)
const nowMs = 1_800_000_000_000
const claims = {
  tokenId: 'jt-abcdefghijkl',
  caFingerprint: 'ab'.repeat(32),
  maxUses: 3,
  issuedAtMs: nowMs,
  expiresAtMs: nowMs + 60_000,
}
const everything = {
  ...claims,
  nodeId: 'node-a',
  nodeName: 'alpha',
  region: 'home',
  zone: 'attic',
  addresses: ['10.0.0.1:8080', 'cluster.example:8080'],
}

test('says what was signed, to the coordinator and to the device', async () => {
  for (const signed of [claims, everything]) {
    const token = signJoinToken(key, signed)
    assert.deepEqual(await verifyJoinToken(key, token, nowMs), { kind: 'valid', claims: signed })
    assert.deepEqual(await decodeJoinToken(` ${token}\n`), signed)
  }
})

test('works until the second it expires', async () => {
  const token = signJoinToken(key, claims)
  assert.equal((await verifyJoinToken(key, token, claims.expiresAtMs - 1)).kind, 'valid')
  const verdict = await verifyJoinToken(key, token, claims.expiresAtMs)
  assert.ok(verdict.kind === 'invalid' && verdict.reason === 'expired')
  assert.match(verdict.message, /expired at 2027-01-15T08:01:00.000Z: make one/)
})

test('refuses what was signed with another key', async () => {
  const token = signJoinToken(new Uint8Array(32).fill(8), claims)
  const verdict = await verifyJoinToken(key, token, nowMs)
  assert.ok(verdict.kind === 'invalid' && verdict.reason === 'not-ours')
})

test('takes one algorithm, from one issuer, with every claim', async () => {
  const jwt = (payload: Record<string, unknown>, alg = 'HS256', issuer = 'cloudless-coordinator') =>
    new SignJWT({ token_id: 'jt-a', max_uses: 1, ca: 'ab'.repeat(32), ...payload })
      .setProtectedHeader({ alg })
      .setIssuer(issuer)
      .setIssuedAt(nowMs / 1_000)
      .setExpirationTime(nowMs / 1_000 + 60)
      .sign(new Uint8Array(64).fill(7))
  const longKey = new Uint8Array(64).fill(7)
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(
    JSON.stringify({ token_id: 'jt-a', max_uses: 1, ca: 'ab'.repeat(32), exp: 2e9, iat: 1 }),
  ).toString('base64url')}.`
  const cases: readonly [string, 'valid' | 'malformed' | 'not-ours'][] = [
    [await jwt({}), 'valid'],
    [await jwt({ addresses: [1, 2], zone: '' }), 'valid'],
    [await jwt({}, 'HS512'), 'not-ours'],
    [await jwt({}, 'HS256', 'someone'), 'not-ours'],
    [unsigned, 'not-ours'],
    [await jwt({ ca: 'short' }), 'malformed'],
    [await jwt({ ca: 7 }), 'malformed'],
    [await jwt({ max_uses: 'many' }), 'malformed'],
    [await jwt({ token_id: 7 }), 'malformed'],
    ['', 'malformed'],
    ['rubbish', 'malformed'],
    ['a.b.c', 'malformed'],
    ['x'.repeat(10_000), 'malformed'],
  ]
  for (const [token, expected] of cases) {
    const verdict = await verifyJoinToken(longKey, token, nowMs)
    const got = verdict.kind === 'valid' ? 'valid' : verdict.reason
    assert.equal(got, expected, token.slice(0, 60))
  }
})

test('tells the device when what it holds is no join token', async () => {
  const noCa = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).sign(key)
  const noExpiry = await new SignJWT({ token_id: 'a', ca: 'ab'.repeat(32), max_uses: 1 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(key)
  for (const token of ['', 'rubbish', 'a.b.c', noCa, noExpiry, 'x'.repeat(10_000)]) {
    await assert.rejects(decodeJoinToken(token), {
      code: 'invalid_argument',
      message: /not a join token: copy it whole/,
    })
  }
})

test('never throws, whatever it is shown', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 300 }), async (text) => {
      assert.equal((await verifyJoinToken(key, text, nowMs)).kind, 'invalid')
    }),
    { numRuns: 200 },
  )
})
