import assert from 'node:assert/strict'
import { rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  EnrollNodeRequestSchema,
  JoinTokenRecordSchema,
  JoinTokenSchema,
  NodePhase,
  type NodeRecord,
} from '@cloudless/api'
import { systemClock, systemRandom } from '@cloudless/base'
import { createCsr, createKey, openCertificateAuthority, signJoinToken } from '@cloudless/identity'
import { cleanUp, openCluster } from '../testing/cluster.ts'
import { readyReplica } from '../testing/records.ts'
import { nodeHandlers } from '../api/node-handlers.ts'
import { Enrolments, type EnrolmentOptions } from './enrolment.ts'
import { LiveNodes } from './live-nodes.ts'
import { livenessDefaults } from './liveness.ts'
import { renewCertificate } from './renewal.ts'
import { subnetPlanDefault } from './subnets.ts'

const day = 86_400_000
const options: EnrolmentOptions = {
  certificateLifetimeMs: day,
  rejoinWindowMs: 30 * day,
  heartbeatIntervalMs: 1_000,
  subnets: subnetPlanDefault,
}

async function openMembership(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-enrolment-'))
  cleanUp(t, () => rmSync(directory, { recursive: true, force: true }))
  const cluster = await openCluster(t)
  const { state } = cluster
  const authority = await openCertificateAuthority(
    { clock: systemClock },
    { directory: join(directory, 'ca'), trustDomain: 'cloudless' },
  )
  const gone = new Set<string>()
  const deps = {
    state,
    authority,
    clock: systemClock,
    random: systemRandom,
    isGone: ({ node }: NodeRecord) => gone.has(node!.id),
  }
  const keyPem = await createKey()
  const csrPem = await createCsr(keyPem)

  async function makeToken(facts: MessageInitShape<typeof JoinTokenSchema> = {}): Promise<string> {
    const nowMs = systemClock.wallMs()
    const joinToken = create(JoinTokenSchema, {
      id: `jt-${state.count('token')}`,
      maxUses: 1,
      createdAtMs: BigInt(nowMs),
      expiresAtMs: BigInt(nowMs + day),
      ...facts,
    })
    await cluster.put('token', { [joinToken.id]: create(JoinTokenRecordSchema, { joinToken }) })
    return signJoinToken(authority.tokenKey, {
      tokenId: joinToken.id,
      caFingerprint: authority.fingerprint,
      maxUses: joinToken.maxUses,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + day,
    })
  }

  const enrolments = new Enrolments(deps, options)
  const enrol = (
    nodeName: string,
    token: string,
    facts: MessageInitShape<typeof EnrollNodeRequestSchema> = {},
  ) => enrolments.enroll(create(EnrollNodeRequestSchema, { nodeName, token, csrPem, ...facts }))

  const handlers = () => {
    const liveNodes = new LiveNodes(
      { clock: systemClock, onChange: () => undefined },
      livenessDefaults,
    )
    cleanUp(t, () => liveNodes.close())
    return nodeHandlers(
      {
        ...deps,
        liveNodes,
        startedAtMs: 0,
        onUpdated: () => undefined,
        onRemoved: () => undefined,
      },
      options,
    )
  }
  return { ...cluster, deps, gone, makeToken, enrol, handlers, keyPem, csrPem }
}

const usesOf = (cluster: Awaited<ReturnType<typeof openMembership>>, id: string) =>
  cluster.state.get('token', id)!.joinToken!.uses

test('a device with a token becomes a member', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ region: 'eu', description: 'for the attic' })
  const { response, node } = await cluster.enrol('pi', token, { zone: 'attic' })
  assert.match(response.nodeId, /^node-[a-z2-9]{12}$/)
  assert.equal(node.node!.status!.phase, NodePhase.ENROLLING)
  assert.equal(node.node!.region, 'eu')
  assert.equal(node.node!.zone, 'attic')
  assert.equal(node.node!.podCidr, '10.244.1.0/24')
  assert.equal(response.node!.podCidr, '10.244.1.0/24')
  assert.equal(cluster.state.findNode('pi')!.id, response.nodeId)
  assert.equal(usesOf(cluster, 'jt-0'), 1)
  assert.deepEqual(cluster.state.get('token', 'jt-0')!.joinToken!.usedBy, ['pi'])
})

test('a token is used exactly as often as it says, however many come at once', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ maxUses: 12 })
  const names = Array.from({ length: 20 }, (_, n) => `pi-${n}`)
  const results = await Promise.allSettled(names.map((name) => cluster.enrol(name, token)))
  const joined = results.filter((result) => result.status === 'fulfilled')
  assert.equal(joined.length, 12)
  for (const result of results) {
    if (result.status === 'rejected') assert.equal(result.reason.code, 'unauthenticated')
  }
  assert.equal(usesOf(cluster, 'jt-0'), 12)
  assert.equal(cluster.state.count('node'), 12)
})

test('devices that come together share a few transactions, and each gets a subnet of its own', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ maxUses: 100 })
  const before = cluster.state.revision
  const names = Array.from({ length: 60 }, (_, n) => `pi-${n}`)
  const enrolled = await Promise.all(names.map((name) => cluster.enrol(name, token)))
  assert.equal(new Set(enrolled.map(({ node }) => node.node!.podCidr)).size, 60)
  assert.equal(usesOf(cluster, 'jt-0'), 60)
  const transactions = cluster.state.revision - before
  assert.ok(transactions <= 20, `${transactions} transactions`)
})

test('no two nodes get the same subnet, however they come', async (t) => {
  const cluster = await openMembership(t)
  const tokens = await Promise.all(
    Array.from({ length: 15 }, (_, n) => cluster.makeToken({ id: `jt-many-${n}` })),
  )
  await Promise.all(tokens.map((token, n) => cluster.enrol(`pi-${n}`, token)))
  const subnets = [...cluster.state.all('node')].map(({ record }) => record.node!.podCidr)
  assert.equal(new Set(subnets).size, 15)
})

test('a name goes to one of two that ask for it at once', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ maxUses: 2 })
  const results = await Promise.allSettled([cluster.enrol('pi', token), cluster.enrol('pi', token)])
  const refused = results.filter((result) => result.status === 'rejected')
  assert.equal(refused.length, 1)
  assert.equal(refused[0]!.reason.code, 'already_exists')
  assert.equal(usesOf(cluster, 'jt-0'), 1)
})

test('the name of a node that is gone is taken over, with everything of it', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ maxUses: 3 })
  const { response: old } = await cluster.enrol('pi', token)
  await cluster.put('replica', { 'web-1': readyReplica('web-1', old.nodeId) })
  await assert.rejects(cluster.enrol('pi', token), { code: 'already_exists', message: /alive/ })
  cluster.gone.add(old.nodeId)
  const { response, replacedNodeId } = await cluster.enrol('pi', token)
  assert.equal(replacedNodeId, old.nodeId)
  assert.equal(cluster.state.get('node', old.nodeId), undefined)
  assert.ok(cluster.state.get('removed', old.nodeId), 'its certificates stay refused')
  assert.equal(cluster.state.count('replica'), 0)
  assert.equal(cluster.state.findNode('pi')!.id, response.nodeId)
})

test('a name that is the id of another node is refused', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ maxUses: 2 })
  const { response } = await cluster.enrol('pi', token)
  cluster.gone.add(response.nodeId)
  await assert.rejects(cluster.enrol(response.nodeId, token), { code: 'already_exists' })
  assert.ok(cluster.state.get('node', response.nodeId))
})

test('after a removal, name and subnet are free again', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken({ maxUses: 3 })
  const { response } = await cluster.enrol('pi', token)
  await cluster.handlers().removeNode({ nodeId: 'pi', force: false } as never)
  assert.equal(cluster.state.isSubnetTaken('10.244.1.0/24'), false)
  const again = await cluster.enrol('pi', token)
  assert.notEqual(again.response.nodeId, response.nodeId)
})

const bad: readonly [string, MessageInitShape<typeof JoinTokenSchema>, RegExp, string][] = [
  ['revoked', { revoked: true }, /revoked/, 'unauthenticated'],
  ['expired on record', { expiresAtMs: 1n }, /expired/, 'unauthenticated'],
  ['used up', { uses: 1, usedBy: ['mac'] }, /last by mac/, 'unauthenticated'],
  ["for another node's name", { nodeName: 'mac' }, /only for node name/, 'permission_denied'],
  ['for another region', { region: 'us' }, /only for region/, 'permission_denied'],
]
for (const [what, facts, message, code] of bad) {
  test(`a token that is ${what} is refused and changes nothing`, async (t) => {
    const cluster = await openMembership(t)
    const token = await cluster.makeToken(facts)
    const before = usesOf(cluster, 'jt-0')
    await assert.rejects(cluster.enrol('pi', token, { region: 'eu' }), { code, message })
    assert.equal(cluster.state.count('node'), 0)
    assert.equal(usesOf(cluster, 'jt-0'), before)
  })
}

test('a token nobody knows, or nobody signed, is refused', async (t) => {
  const cluster = await openMembership(t)
  const unknown = signJoinToken(cluster.deps.authority.tokenKey, {
    tokenId: 'jt-x',
    caFingerprint: 'f',
    maxUses: 1,
    issuedAtMs: systemClock.wallMs(),
    expiresAtMs: systemClock.wallMs() + day,
  })
  await assert.rejects(cluster.enrol('pi', unknown), { code: 'unauthenticated' })
  await assert.rejects(cluster.enrol('pi', 'nonsense'), { code: 'unauthenticated' })
  await assert.rejects(cluster.enrol('Not A Name', unknown), { code: 'invalid_argument' })
})

test('a member gets a new certificate, and its record says so', async (t) => {
  const cluster = await openMembership(t)
  const { response: joined } = await cluster.enrol('pi', await cluster.makeToken())
  const before = cluster.state.get('node', joined.nodeId)!
  const peer = memberPeer(joined.nodeId, before.publicKeyFingerprint)
  const renewed = await renewCertificate(cluster.deps, options, peer, cluster.csrPem)
  const after = cluster.state.get('node', joined.nodeId)!
  assert.equal(after.certificateSerials.at(-1), renewed.serial)
  assert.deepEqual(after.certificateSerials.slice(0, -1), before.certificateSerials)
})

test('a certificate that ran out is renewed within the window, for the same key', async (t) => {
  const cluster = await openMembership(t)
  const { response: joined } = await cluster.enrol('pi', await cluster.makeToken())
  const { publicKeyFingerprint } = cluster.state.get('node', joined.nodeId)!
  const agoMs = (ms: number) => ({
    ...memberPeer(joined.nodeId, publicKeyFingerprint),
    expired: true,
    notAfterMs: systemClock.wallMs() - ms,
  })
  const renew = (peer: ReturnType<typeof agoMs>, csrPem: string) =>
    renewCertificate(cluster.deps, options, peer, csrPem)
  await renew(agoMs(29 * day), cluster.csrPem)
  await assert.rejects(renew(agoMs(31 * day), cluster.csrPem), { code: 'unauthenticated' })
  const otherCsr = await createCsr(await createKey())
  await assert.rejects(renew(agoMs(day), otherCsr), { code: 'permission_denied' })
})

test('a key that the node gave up does not bring it back', async (t) => {
  const cluster = await openMembership(t)
  const { response: joined } = await cluster.enrol('pi', await cluster.makeToken())
  const { publicKeyFingerprint: oldKey } = cluster.state.get('node', joined.nodeId)!
  const newCsr = await createCsr(await createKey())
  await renewCertificate(cluster.deps, options, memberPeer(joined.nodeId, oldKey), newCsr)
  const { publicKeyFingerprint: newKey } = cluster.state.get('node', joined.nodeId)!
  assert.notEqual(newKey, oldKey)
  const ranOut = (fingerprint: string) => ({
    ...memberPeer(joined.nodeId, fingerprint),
    expired: true,
    notAfterMs: systemClock.wallMs() - day,
  })
  for (const csrPem of [cluster.csrPem, newCsr]) {
    await assert.rejects(renewCertificate(cluster.deps, options, ranOut(oldKey), csrPem), {
      code: 'permission_denied',
      message: /the key it used last/,
    })
  }
  await renewCertificate(cluster.deps, options, ranOut(newKey), newCsr)
})

test('labels and taints that no node can have are refused by their field', async (t) => {
  const cluster = await openMembership(t)
  const token = await cluster.makeToken()
  const cases: [MessageInitShape<typeof EnrollNodeRequestSchema>, RegExp][] = [
    [{ labels: { 'a b': 'x' } }, /^labels: "a b"/],
    [{ labels: { tier: 'x'.repeat(64) } }, /^labels\["tier"\]/],
    [{ taints: [{ key: 'gpu', effect: 'Sometimes' }] }, /^taints\["gpu"\]\.effect/],
  ]
  for (const [facts, message] of cases) {
    await assert.rejects(cluster.enrol('pi', token, facts), { code: 'invalid_argument', message })
  }
  assert.equal(usesOf(cluster, 'jt-0'), 0)
})

test('who was removed gets no certificate', async (t) => {
  const cluster = await openMembership(t)
  const peer = memberPeer('node-x', 'f')
  await assert.rejects(renewCertificate(cluster.deps, options, peer, cluster.csrPem), {
    code: 'permission_denied',
  })
})

test('the certificates on record are bounded, however often one renews', async (t) => {
  const cluster = await openMembership(t)
  const { response: joined } = await cluster.enrol('pi', await cluster.makeToken())
  const peer = memberPeer(joined.nodeId, 'f')
  for (let n = 0; n < 12; n++) {
    await renewCertificate(cluster.deps, options, peer, cluster.csrPem)
  }
  assert.equal(cluster.state.get('node', joined.nodeId)!.certificateSerials.length, 8)
})

function memberPeer(id: string, publicKeyFingerprint: string) {
  return {
    kind: 'member' as const,
    type: 'node' as const,
    trustDomain: 'cloudless',
    id,
    serial: '01',
    publicKeyFingerprint,
    notAfterMs: systemClock.wallMs() + day,
    expired: false,
  }
}
