/** Who gets in, for every method of every service, with real handshakes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect } from 'node:tls'
import { AgentService, CoordinatorService, fromConnectError } from '@cloudless/api'
import {
  grpcHealth,
  grpcReflection,
  grpcReflectionAlpha,
  NetworkService,
  SecretsService,
  StorageService,
} from '@cloudless/api/services'
import { CloudlessError, systemClock } from '@cloudless/base'
import {
  callersOf,
  checkCredentials,
  openCertificateAuthority,
  type Credentials,
} from '@cloudless/identity'
import { createClient, type ServiceImpl } from '@connectrpc/connect'
import { callContextOf } from './call-context.ts'
import {
  clientOptions,
  credentialsFor,
  expiredCredentialsFor,
  fetchPath,
  openTestCa,
  startTestServer,
  transportTo,
  until,
} from './testing.ts'

const services = [
  CoordinatorService,
  AgentService,
  NetworkService,
  StorageService,
  SecretsService,
  grpcHealth.Health,
  grpcReflection.ServerReflection,
  grpcReflectionAlpha.ServerReflection,
]
const methods = services.flatMap((service) => service.methods)

/** Every method in turn over one HTTP/2 connection, as gRPC; the status each answered with. */
async function callEverything(
  fixture: { port: number; ca: Parameters<typeof clientOptions>[0] },
  credentials: Credentials | undefined,
  entering: readonly string[] = [],
): Promise<Map<string, string>> {
  const statuses = new Map<string, string>()
  const options = clientOptions(fixture.ca, credentials)
  const session = connectHttp2(`https://127.0.0.1:${fixture.port}`, options)
  try {
    for (const method of methods) {
      const stream = session.request({
        ':method': 'POST',
        ':path': `/${method.parent.typeName}/${method.name}`,
        'content-type': 'application/grpc+proto',
        te: 'trailers',
      })
      const answered = new Promise<string>((resolve, reject) => {
        const look = (headers: Readonly<Record<string, unknown>>): void => {
          if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']))
        }
        stream.on('response', look)
        stream.on('trailers', look)
        AbortSignal.timeout(5_000).addEventListener('abort', () =>
          reject(new Error(`${method.name} was not answered`)),
        )
      })
      stream.resume()
      // The beginning of a message. Who has no right is refused without waiting for its end.
      stream.write(Buffer.from([0, 0, 0, 0, 9]))
      if (entering.includes(method.name)) stream.end()
      statuses.set(`${method.parent.typeName}/${method.name}`, await answered)
      stream.close()
    }
  } finally {
    session.destroy()
  }
  return statuses
}

const unauthenticated = '16'
const permissionDenied = '7'

function assertStatuses(
  statuses: ReadonlyMap<string, string>,
  expected: string,
  except: readonly string[] = [],
): void {
  assert.equal(statuses.size, methods.length)
  for (const [name, status] of statuses) {
    if (except.some((each) => name.endsWith(`/${each}`))) {
      assert.ok(![unauthenticated, permissionDenied, ''].includes(status), `${name}: ${status}`)
    } else {
      assert.equal(status, expected, name)
    }
  }
}

async function setUp(
  t: TestContext,
  coordinator: Partial<ServiceImpl<typeof CoordinatorService>> = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-server-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const caDirectory = join(directory, 'ca')
  const ca = await openCertificateAuthority(
    { clock: systemClock },
    { directory: caDirectory, trustDomain: 'cloudless' },
  )
  const fixture = await startTestServer(t, {
    ca,
    coordinator,
    options: { rateLimit: { perSecond: 10_000, burst: 10_000 } },
  })
  return { ...fixture, caDirectory }
}

test('without a certificate every call is refused, but those that show a join token', async (t) => {
  const fixture = await setUp(t)
  const entering = ['EnrollNode', 'JoinCoordinator']
  const statuses = await callEverything(fixture, undefined, entering)
  assertStatuses(statuses, unauthenticated, entering)
})

test("with a foreign CA's certificate every call is refused", async (t) => {
  const fixture = await setUp(t)
  const foreign = await openTestCa(t)
  for (const type of ['operator', 'node'] as const) {
    const credentials = await credentialsFor(foreign, type, 'a')
    assertStatuses(await callEverything(fixture, credentials), unauthenticated)
  }
})

test('with an expired certificate every call is refused, but the renewal of a node', async (t) => {
  const fixture = await setUp(t)
  const { ca, caDirectory } = fixture
  const operator = await expiredCredentialsFor(ca, caDirectory, 'operator', 'a')
  assertStatuses(await callEverything(fixture, operator), unauthenticated)
  const node = await expiredCredentialsFor(ca, caDirectory, 'node', 'a')
  const entering = ['RenewCertificate']
  assertStatuses(await callEverything(fixture, node, entering), unauthenticated, entering)
})

test("with an agent's certificate every call that is not a node's is refused", async (t) => {
  const fixture = await setUp(t)
  const node = await credentialsFor(fixture.ca, 'node', 'node-a')
  const open = methods.filter((method) => callersOf(method).includes('node'))
  const entering = open.map((method) => method.name)
  const statuses = await callEverything(fixture, node, entering)
  assertStatuses(statuses, permissionDenied, entering)
})

test('refuses over JSON with the HTTP status that belongs to it, before reading the body', async (t) => {
  const fixture = await setUp(t)
  const path = '/cloudless.api.v1.CoordinatorService/CreateWorkload'
  const headers = { 'content-type': 'application/json' }
  const nobody = await fetchPath(fixture, path, { headers, body: 'not even JSON' })
  assert.equal(nobody.status, 401)
  assert.match(JSON.parse(nobody.text).message, /needs a client certificate issued by this cluster/)
  const credentials = await credentialsFor(fixture.ca, 'node', 'node-a')
  const node = await fetchPath(fixture, path, { credentials, headers, body: 'not even JSON' })
  assert.equal(node.status, 403)
  assert.match(JSON.parse(node.text).message, /The node "node-a" may not call .*CreateWorkload/)
  assert.deepEqual(
    fixture.ended.map(({ outcome }) => outcome.code),
    ['unauthenticated', 'permission_denied'],
  )
})

test('a node speaks only for itself, in single calls and in the middle of its session', async (t) => {
  const fixture = await setUp(t, {
    heartbeat: () => ({}),
    async *session(messages) {
      for await (const { message } of messages) {
        if (message.case === 'hello') yield { message: { case: 'welcome', value: {} } }
      }
    },
  })
  const node = await credentialsFor(fixture.ca, 'node', 'node-a')
  const client = createClient(CoordinatorService, transportTo(t, fixture, node))
  await client.heartbeat({ nodeId: 'node-a' })
  await assert.rejects(client.heartbeat({ nodeId: 'node-b' }), {
    code: 7,
    message: /only for itself/,
  })
  async function* messages() {
    yield { message: { case: 'hello' as const, value: { nodeId: 'node-a' } } }
    yield { message: { case: 'heartbeat' as const, value: { nodeId: 'node-b' } } }
  }
  const session = client.session(messages())[Symbol.asyncIterator]()
  await session.next()
  await assert.rejects(session.next(), { code: 7, message: /not for "node-b"/ })
})

test('speaks TLS 1.3 only', async (t) => {
  const fixture = await setUp(t)
  const options = clientOptions(fixture.ca)
  const socket = connect({
    ...options,
    host: '127.0.0.1',
    port: fixture.port,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
  })
  await assert.rejects(once(socket, 'secureConnect'), { code: /ALERT_PROTOCOL_VERSION|PROTOCOL/ })
})

/** A session that says something at once and then waits for its end. */
const endlessSession: Partial<ServiceImpl<typeof CoordinatorService>> = {
  async *session() {
    yield { message: { case: 'welcome', value: {} } }
    await new Promise(() => undefined)
  },
}

/** Its outgoing half stays open, as an agent's does. */
async function* forever(signal: AbortSignal) {
  yield { message: { case: 'hello' as const, value: { nodeId: 'node-a' } } }
  await once(signal, 'abort').catch(() => undefined)
}

async function openSession(
  t: TestContext,
  fixture: Parameters<typeof transportTo>[1],
  node: Credentials,
) {
  const controller = new AbortController()
  t.after(() => controller.abort())
  const client = createClient(CoordinatorService, transportTo(t, fixture, node))
  const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(15_000)])
  const session = client.session(forever(signal), { signal })
  const source = session[Symbol.asyncIterator]()
  await source.next()
  return { client, source }
}

test('ends the streams of a certificate that runs out within a second, with the reason', async (t) => {
  const fixture = await setUp(t, endlessSession)
  const node = await credentialsFor(fixture.ca, 'node', 'node-a', 3_000)
  const { notAfterMs } = checkCredentials(node)
  const { client, source } = await openSession(t, fixture, node)
  await assert.rejects(source.next(), { code: 16, message: /ran out at/ })
  const lateMs = systemClock.wallMs() - notAfterMs
  // A second, and another for a busy machine.
  assert.ok(lateMs >= 0 && lateMs < 2_000, `it ended ${lateMs} ms after the certificate`)
  await assert.rejects(client.getNode({ nodeId: 'node-a' }), { code: 16 })
})

test('a renewal on the connection moves its end', async (t) => {
  const fixture = await setUp(t, {
    ...endlessSession,
    renewCertificate: (_request, context) => {
      callContextOf(context).connection.extendExpiry(systemClock.wallMs() + 3_600_000, 'abc')
      return {}
    },
    getNode: () => ({ id: 'node-a' }),
  })
  const node = await credentialsFor(fixture.ca, 'node', 'node-a', 3_000)
  const { client, source } = await openSession(t, fixture, node)
  await client.renewCertificate({})
  let ended = false
  const next = source.next().then(
    () => (ended = true),
    () => (ended = true),
  )
  const { notAfterMs } = checkCredentials(node)
  await until(
    'the old certificate has run out',
    () => systemClock.wallMs() > notAfterMs + 1_200,
    10_000,
  )
  assert.equal(ended, false)
  assert.equal((await client.getNode({ nodeId: 'node-a' })).id, 'node-a')
  void next
})

test('cuts a removed node at once, and refuses it from then on', async (t) => {
  const fixture = await setUp(t, endlessSession)
  const node = await credentialsFor(fixture.ca, 'node', 'node-a')
  const { client, source } = await openSession(t, fixture, node)
  const cut = assert.rejects(source.next())
  fixture.removed.add('node-a')
  fixture.server.closeConnectionsOf('node-a')
  const startedMs = systemClock.monotonicMs()
  await cut
  assert.ok(systemClock.monotonicMs() - startedMs < 1_000)
  const refused = await client.getNode({ nodeId: 'node-a' }).catch(fromConnectError)
  assert.ok(refused instanceof CloudlessError)
  assert.deepEqual([refused.code, refused.details['reason']], ['unauthenticated', 'removed'])
  assert.match(refused.message, /The node "node-a" was removed from the cluster/)
})

test('refuses a node it has no record of, without telling it that it was removed', async (t) => {
  const fixture = await startTestServer(t, { deps: { isUnknown: (nodeId) => nodeId === 'node-x' } })
  const node = await credentialsFor(fixture.ca, 'node', 'node-x')
  const client = createClient(CoordinatorService, transportTo(t, fixture, node))
  const refused = await client.getNode({ nodeId: 'node-x' }).catch(fromConnectError)
  assert.ok(refused instanceof CloudlessError)
  assert.deepEqual([refused.code, refused.details['reason']], ['unauthenticated', 'foreign'])
  assert.match(refused.message, /no record of the node "node-x"; if its data was lost, restore it/)
})

test('refuses a revoked certificate on an open connection', async (t) => {
  const revoked = new Set<string>()
  const fixture = await startTestServer(t, {
    coordinator: { getNode: () => ({}) },
    deps: { isCertificateRevoked: (serial) => revoked.has(serial) },
  })
  const credentials = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, credentials))
  await client.getNode({})
  revoked.add(checkCredentials(credentials).serial)
  const refused = await client.getNode({}).catch(fromConnectError)
  assert.ok(refused instanceof Error && /was revoked/.test(refused.message))
})

test('renews its own certificate without dropping a stream', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: {
      async *watchNodes(_request, context) {
        while (!context.signal.aborted) {
          yield {}
          await new Promise<void>((resolve) => systemClock.after(50, resolve))
        }
      },
    },
    options: { certificateLifetimeMs: 3_000 },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  const watch = client.watchNodes({})[Symbol.asyncIterator]()
  const serialNow = async (): Promise<string> => {
    const socket = connect({ ...clientOptions(fixture.ca), host: '127.0.0.1', port: fixture.port })
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }
  const serials = new Set<string>()
  const endMs = systemClock.monotonicMs() + 15_000
  while (serials.size < 3) {
    assert.ok(systemClock.monotonicMs() < endMs, 'the certificate was not renewed twice in 15 s')
    serials.add(await serialNow())
    assert.equal((await watch.next()).done, false)
  }
  assert.deepEqual(fixture.problems, [])
  await watch.return?.()
})
