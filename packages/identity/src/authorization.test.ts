import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as messages from '@cloudless/api'
import * as servers from '@cloudless/api/services'
import { authorizeCall, authorizeMessage, callersOf, type CalledMethod } from './authorization.ts'
import { identityTypes, type IdentityType } from './spiffe-id.ts'
import type { MemberIdentity, PeerIdentity } from './peer.ts'

interface Method extends CalledMethod {
  readonly name: string
}

const everything: readonly unknown[] = [
  messages,
  servers,
  servers.grpcHealth,
  servers.grpcReflection,
  servers.grpcReflectionAlpha,
].flatMap((module) => Object.values(module))
const services = everything.filter(
  (value): value is typeof messages.CoordinatorService =>
    typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'service',
)
const methods: readonly Method[] = services.flatMap((service) => service.methods)

function member(type: IdentityType, change: Partial<MemberIdentity> = {}): MemberIdentity {
  return {
    kind: 'member',
    type,
    id: `${type}-a`,
    serial: '1',
    notAfterMs: 1_800_000_000_000,
    expired: false,
    publicKeyFingerprint: '2',
    ...change,
  }
}

const method = (localName: string, service = 'CoordinatorService'): CalledMethod => ({
  localName,
  parent: { typeName: `cloudless.api.v1.${service}` },
})

test('the API has the services we think it has', () => {
  const names = services.map((service) => service.name).toSorted()
  assert.deepEqual(
    names.filter((name) => name.endsWith('Service')),
    ['AgentService', 'CoordinatorService', 'NetworkService', 'SecretsService', 'StorageService'],
  )
  assert.equal(services.length, 8)
  assert.ok(methods.length > 80)
})

for (const called of methods) {
  const name = `${called.parent.typeName}/${called.name}`
  const callers = callersOf(called)

  test(`${name} is in the table`, () => assert.notDeepEqual(callers, []))

  test(`${name} refuses everyone the table does not name`, () => {
    const anonymous = authorizeCall({ kind: 'anonymous' }, called).kind
    const isEnrolment = called.name === 'EnrollNode' || called.name === 'JoinCoordinator'
    assert.equal(anonymous, isEnrolment ? 'allowed' : 'unauthenticated')
    const foreign = authorizeCall({ kind: 'foreign', reason: 'not ours' }, called)
    assert.equal(foreign.kind, 'unauthenticated')
    for (const type of identityTypes) {
      const expected = callers.includes(type) ? 'allowed' : 'denied'
      assert.equal(authorizeCall(member(type), called).kind, expected, type)
      const renews = type === 'node' && called.name === 'RenewCertificate'
      const expired = authorizeCall(member(type, { expired: true }), called)
      assert.equal(expired.kind, renews ? 'allowed' : 'unauthenticated', `expired ${type}`)
    }
  })
}

test('nodes may call what keeps them members and what routes their traffic, and nothing else', () => {
  const ours = methods.filter((called) => called.parent.typeName.startsWith('cloudless.'))
  const open = ours.filter((called) => callersOf(called).includes('node'))
  assert.deepEqual(open.map((called) => called.name).toSorted(), [
    'GetChunkLocations',
    'GetLoadBalancerConfig',
    'GetNode',
    'GetService',
    'Heartbeat',
    'ListEndpoints',
    'ListServices',
    'RenewCertificate',
    'ResolveService',
    'Session',
    'WatchServiceEndpoints',
  ])
})

test('health is for every member, reflection for operators, anything else for nobody', () => {
  const check = { localName: 'check', parent: { typeName: 'grpc.health.v1.Health' } }
  const reflect = (version: string) => ({
    localName: 'serverReflectionInfo',
    parent: { typeName: `grpc.reflection.${version}.ServerReflection` },
  })
  for (const type of identityTypes) {
    assert.equal(authorizeCall(member(type), check).kind, 'allowed')
    for (const version of ['v1', 'v1alpha']) {
      const expected = type === 'operator' ? 'allowed' : 'denied'
      assert.equal(authorizeCall(member(type), reflect(version)).kind, expected)
    }
  }
  for (const unknown of [method('reboot'), method('toString'), method('getNode', 'NoService')]) {
    const verdict = authorizeCall(member('operator'), unknown)
    assert.ok(verdict.kind === 'denied' && verdict.message.endsWith('Nobody may.'))
  }
})

test('a node speaks only for itself', () => {
  const node = member('node')
  const say = (called: CalledMethod, message: unknown, peer: PeerIdentity = node) =>
    authorizeMessage(peer, called, message).kind
  const session = method('session')
  const hello = (nodeId: string) => ({ message: { case: 'hello', value: { nodeId } } })
  assert.equal(say(session, hello('node-a')), 'allowed')
  assert.equal(say(session, hello('node-b')), 'denied')
  assert.equal(say(session, hello('')), 'denied')
  const beat = (nodeId: string) => ({ message: { case: 'heartbeat', value: { nodeId } } })
  assert.equal(say(session, beat('node-a')), 'allowed')
  assert.equal(say(session, beat('node-b')), 'denied')
  assert.equal(say(session, { message: { case: 'replicas', value: {} } }), 'allowed')
  assert.equal(say(method('heartbeat'), { nodeId: 'node-a' }), 'allowed')
  assert.equal(say(method('heartbeat'), { nodeId: 'node-b' }), 'denied')
  assert.equal(say(method('getNode'), { nodeId: 'node-a' }), 'allowed')
  assert.equal(say(method('getNode'), { nodeId: 'node-b' }), 'denied')
  assert.equal(say(method('getNode'), { nodeId: 'node-b' }, member('operator')), 'allowed')
  assert.equal(say(method('renewCertificate'), { csrPem: '' }), 'allowed')
  assert.equal(say(method('listNodes'), {}), 'denied')
  assert.equal(
    say(method('getNode'), { nodeId: 'node-a' }, { kind: 'anonymous' }),
    'unauthenticated',
  )
})

test('a refusal says to machines what is wrong with the certificate', () => {
  const foreign = { kind: 'foreign', reason: 'it is odd' } as const
  const cases: readonly [PeerIdentity, string][] = [
    [{ kind: 'anonymous' }, 'anonymous'],
    [foreign, 'foreign'],
    [{ ...foreign, problem: 'removed' }, 'removed'],
    [{ ...foreign, problem: 'revoked' }, 'revoked'],
    [member('node', { expired: true }), 'expired'],
  ]
  for (const [peer, problem] of cases) {
    const verdict = authorizeCall(peer, method('listNodes'))
    assert.ok(verdict.kind === 'unauthenticated')
    assert.equal(verdict.problem, problem)
  }
})

test('a refusal says who, what and what to do', () => {
  const texts = [
    authorizeCall(member('node'), method('createWorkload')),
    authorizeCall({ kind: 'foreign', reason: 'the certificate is odd' }, method('getNode')),
    authorizeCall(member('operator', { expired: true }), method('getNode')),
    authorizeCall(member('node', { expired: true }), method('session')),
    authorizeMessage(member('node'), method('getNode'), { nodeId: 'node-b' }),
  ].map((verdict) => (verdict.kind === 'allowed' ? '' : verdict.message))
  assert.deepEqual(texts, [
    'The node "node-a" may not call cloudless.api.v1.CoordinatorService/CreateWorkload. It is for: operator.',
    'The certificate is odd.',
    'The certificate of operator "operator-a" ran out at 2027-01-15T08:00:00.000Z. Get a new one.',
    'The certificate of node "node-a" ran out at 2027-01-15T08:00:00.000Z. The agent must renew it first.',
    'The node "node-a" speaks only for itself, not for "node-b", in cloudless.api.v1.CoordinatorService/GetNode.',
  ])
})
