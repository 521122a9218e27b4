/** The front door with real sockets: every protocol, health, reflection, limits, faults. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { connect } from 'node:tls'
import { once } from 'node:events'
import { test } from 'node:test'
import { CoordinatorService, fromConnectError } from '@cloudless/api'
import {
  grpcHealth,
  grpcReflection,
  grpcReflectionAlpha,
  StorageService,
} from '@cloudless/api/services'
import { CloudlessError } from '@cloudless/base'
import { createClient } from '@connectrpc/connect'
import { callContextOf } from './call-context.ts'
import {
  clientOptions,
  credentialsFor,
  fetchPath,
  startTestServer,
  transportTo,
  until,
} from './testing.ts'

const json = { 'content-type': 'application/json' }
const path = (method: string) => `/cloudless.api.v1.CoordinatorService/${method}`

test('serves an operator over Connect with ids on both sides', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: {
      getNode: (request, context) => {
        const call = callContextOf(context)
        return { id: request.nodeId, name: `${call.clientName} ${call.correlationId}` }
      },
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  let seen: Headers | undefined
  const node = await client.getNode(
    { nodeId: 'node-a' },
    { headers: { 'x-correlation-id': 'abc' }, onHeader: (headers) => (seen = headers) },
  )
  assert.equal(node.name, 'operator/admin abc')
  assert.equal(seen?.get('x-correlation-id'), 'abc')
  assert.match(seen?.get('x-request-id') ?? '', /^[a-z0-9]{16}$/)
  const { facts, outcome } = fixture.ended[0]!
  assert.deepEqual(
    [facts.method, facts.clientName, facts.correlationId],
    ['GetNode', 'operator/admin', 'abc'],
  )
  assert.equal(outcome.code, undefined)
})

test('serves JSON over HTTP/1.1 as curl sends it', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: { getNode: (request) => ({ id: request.nodeId }) },
  })
  const credentials = await credentialsFor(fixture.ca, 'operator', 'admin')
  const answer = await fetchPath(fixture, path('GetNode'), {
    credentials,
    headers: json,
    body: '{"nodeId":"node-a"}',
  })
  assert.equal(answer.status, 200)
  assert.deepEqual(JSON.parse(answer.text), { id: 'node-a' })
})

test('refuses an unknown field, naming it', async (t) => {
  const fixture = await startTestServer(t, { coordinator: { getNode: () => ({}) } })
  const credentials = await credentialsFor(fixture.ca, 'operator', 'admin')
  const answer = await fetchPath(fixture, path('GetNode'), {
    credentials,
    headers: json,
    body: '{"nodeIdd":"node-a"}',
  })
  assert.equal(answer.status, 400)
  assert.equal(JSON.parse(answer.text).code, 'invalid_argument')
  assert.match(JSON.parse(answer.text).message, /nodeIdd/)
})

test('survives huge, deep and undecodable messages and says whose fault they are', async (t) => {
  const fixture = await startTestServer(t, { coordinator: { getNode: () => ({ id: 'ok' }) } })
  const credentials = await credentialsFor(fixture.ca, 'operator', 'admin')
  const send = (body: string | Uint8Array, headers: Record<string, string> = json) =>
    fetchPath(fixture, path('GetNode'), { credentials, headers, body })
  const proto = { 'content-type': 'application/proto' }
  const deep = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`
  const cases: readonly [string, string | Uint8Array, Record<string, string>, string][] = [
    ['5 MiB', JSON.stringify({ nodeId: 'x'.repeat(5 * 1024 * 1024) }), json, 'resource_exhausted'],
    ['deep', deep, json, 'invalid_argument'],
    ['deep arrays', `{"nodeId":${'['.repeat(500_000)}`, json, 'invalid_argument'],
    ['wrong type', '{"nodeId":{}}', json, 'invalid_argument'],
    ['no JSON', '{', json, 'invalid_argument'],
    ['no message', Buffer.from('ffffffffff', 'hex'), proto, 'invalid_argument'],
  ]
  for (const [name, body, headers, code] of cases) {
    const answer = await send(body, headers)
    assert.equal(JSON.parse(answer.text).code, code, name)
    assert.notEqual(answer.status, 200, name)
  }
  assert.equal((await send(JSON.stringify({ nodeId: 'x'.repeat(2 ** 20) }))).status, 200)
  assert.deepEqual(fixture.problems, [])
})

test('never tells a caller what went wrong inside, and never says UNKNOWN', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: {
      getNode: () => {
        throw new TypeError('secret detail of ours')
      },
      listNodes: () => {
        throw new CloudlessError('conflict', 'it has changed', { details: { field: 'a', n: 3 } })
      },
      async *watchNodes() {
        yield {}
        throw new TypeError('secret detail of ours')
      },
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  const failure = async (call: Promise<unknown>) =>
    call.then(
      () => assert.fail('it should fail'),
      (reason: unknown) => fromConnectError(reason),
    )
  const internal = await failure(client.getNode({}))
  assert.equal(internal.code, 'internal')
  assert.doesNotMatch(internal.message, /secret/)
  const streamed = await failure(Array.fromAsync(client.watchNodes({})))
  assert.equal(streamed.code, 'internal')
  assert.doesNotMatch(streamed.message, /secret/)
  const conflict = await failure(client.listNodes({}))
  assert.deepEqual([conflict.code, conflict.message], ['conflict', 'it has changed'])
  assert.deepEqual(conflict.details, { field: 'a', n: 3 })
  const logged = fixture.ended[0]!.outcome
  assert.equal(logged.code, 'internal')
  assert.match(String(logged.reason), /secret detail/)
})

test('answers UNIMPLEMENTED with a sentence for what nobody serves yet', async (t) => {
  const fixture = await startTestServer(t)
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const transport = transportTo(t, fixture, operator)
  const storage = createClient(StorageService, transport)
  const expected = { code: 12, message: /belongs to the storage subsystem .* does not include yet/ }
  await assert.rejects(storage.getBucket({}), expected)
  await assert.rejects(Array.fromAsync(storage.getObject({})), expected)
  await assert.rejects(storage.putObject((async function* () {})()), expected)
  const coordinator = createClient(CoordinatorService, transport)
  await assert.rejects(coordinator.listEvents({}), { code: 12, message: /does not serve it/ })
})

test('ends a call at its deadline though the handler does not listen', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: {
      getNode: () => new Promise(() => undefined),
      async *watchNodes() {
        await new Promise(() => undefined)
        yield {}
      },
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const credentials = operator
  const answer = await fetchPath(fixture, path('GetNode'), {
    credentials,
    headers: { ...json, 'connect-timeout-ms': '50' },
    body: '{}',
  })
  assert.equal(JSON.parse(answer.text).code, 'deadline_exceeded')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  await assert.rejects(Array.fromAsync(client.watchNodes({}, { timeoutMs: 50 })), { code: 4 })
  await until('the calls have ended', () => fixture.ended.length === 2)
  assert.equal(fixture.ended[0]!.outcome.code, 'deadline_exceeded')
})

test('tells a handler when its caller goes away', async (t) => {
  let ended = false
  const fixture = await startTestServer(t, {
    coordinator: {
      async *watchNodes(_request, context) {
        yield {}
        await once(context.signal, 'abort')
        ended = true
      },
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  const controller = new AbortController()
  const watch = client.watchNodes({}, { signal: controller.signal })[Symbol.asyncIterator]()
  await watch.next()
  controller.abort()
  await assert.rejects(watch.next())
  await until('the handler has ended', () => ended)
  await until('it is reported', () => fixture.ended.length === 1)
  assert.equal(fixture.ended[0]!.outcome.code, 'cancelled')
})

test('limits the rate of each client by itself, with a hint, but not watches and health', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: {
      getNode: () => ({}),
      async *watchNodes() {
        yield {}
      },
    },
    options: { rateLimit: { perSecond: 1, burst: 3 } },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'busy')
  const other = await credentialsFor(fixture.ca, 'operator', 'other')
  const transport = transportTo(t, fixture, operator)
  const client = createClient(CoordinatorService, transport)
  for (let n = 0; n < 3; n++) await client.getNode({})
  const refused = await client.getNode({}).catch((reason: unknown) => reason)
  const error = fromConnectError(refused)
  assert.equal(error.code, 'resource_exhausted')
  assert.ok(Number(error.details['retryAfterMs']) > 0)
  assert.equal((refused as { metadata: Headers }).metadata.get('retry-after'), '1')
  await Array.fromAsync(client.watchNodes({}))
  const health = createClient(grpcHealth.Health, transport)
  for (let n = 0; n < 5; n++) assert.equal((await health.check({})).status, 1)
  await createClient(CoordinatorService, transportTo(t, fixture, other)).getNode({})
})

test('answers health by readiness, on every path and listener, without a certificate', async (t) => {
  let ready = false
  const fixture = await startTestServer(t, {
    deps: {
      readiness: () => (ready ? { ready } : { ready, reason: 'the store is opening' }),
      metrics: () => Promise.resolve({ contentType: 'text/plain', text: 'up 1\n' }),
    },
    options: {
      healthAddress: { host: '127.0.0.1', port: 0 },
      metricsAddress: { host: '127.0.0.1', port: 0 },
    },
  })
  const plain = `http://127.0.0.1:${fixture.server.healthAddress!.port}`
  const metrics = `http://127.0.0.1:${fixture.server.metricsAddress!.port}`
  for (const name of ['/readyz', '/ready']) {
    ready = false
    assert.equal((await fetchPath(fixture, name)).status, 503)
    const waiting = await fetch(plain + name)
    assert.deepEqual(await waiting.json(), { status: 'not ready', reason: 'the store is opening' })
    ready = true
    assert.equal((await fetchPath(fixture, name)).status, 200)
    assert.equal((await fetch(plain + name)).status, 200)
  }
  for (const name of ['/healthz', '/health']) {
    assert.equal((await fetchPath(fixture, name)).status, 200)
    assert.equal((await fetch(plain + name)).status, 200)
  }
  assert.equal((await fetch(`${plain}/healthz`, { method: 'POST' })).status, 405)
  assert.equal((await fetch(`${plain}/metrics`)).status, 404)
  assert.equal(await (await fetch(`${metrics}/metrics`)).text(), 'up 1\n')
  const missing = await fetchPath(fixture, '/nothing/here')
  assert.equal(missing.status, 404)
  assert.equal(JSON.parse(missing.text).code, 'not_found')
})

test('gives metrics to operators only', async (t) => {
  const fixture = await startTestServer(t, {
    deps: { metrics: () => Promise.resolve({ contentType: 'text/plain', text: 'up 1\n' }) },
  })
  const as = async (type: 'operator' | 'node') =>
    fetchPath(fixture, '/metrics', { credentials: await credentialsFor(fixture.ca, type, 'a') })
  assert.equal((await fetchPath(fixture, '/metrics')).status, 401)
  assert.equal((await as('node')).status, 403)
  assert.equal((await as('operator')).text, 'up 1\n')
})

test('speaks grpc.health.v1, with a watch that follows', async (t) => {
  let ready = true
  const fixture = await startTestServer(t, {
    deps: { readiness: () => (ready ? { ready } : { ready, reason: 'no' }) },
  })
  const node = await credentialsFor(fixture.ca, 'node', 'node-a')
  const health = createClient(grpcHealth.Health, transportTo(t, fixture, node))
  const check = async (service: string) => (await health.check({ service })).status
  assert.equal(await check(''), 1)
  assert.equal(await check('cloudless.api.v1.CoordinatorService'), 1)
  await assert.rejects(check('nobody'), { code: 5 })
  const watch = health.watch({})[Symbol.asyncIterator]()
  assert.equal((await watch.next()).value.status, 1)
  ready = false
  assert.equal((await watch.next()).value.status, 2)
  await watch.return?.()
  const unknown = health.watch({ service: 'nobody' })[Symbol.asyncIterator]()
  assert.equal((await unknown.next()).value.status, 3)
  await unknown.return?.()
})

for (const [version, module] of [
  ['v1', grpcReflection],
  ['v1alpha', grpcReflectionAlpha],
] as const) {
  test(`describes itself by reflection ${version}`, async (t) => {
    const fixture = await startTestServer(t)
    const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
    const client = createClient(
      module.ServerReflection as typeof grpcReflection.ServerReflection,
      transportTo(t, fixture, operator),
    )
    const symbols = [
      'cloudless.api.v1.CoordinatorService',
      'cloudless.api.v1.CoordinatorService.GetNode',
      'cloudless.api.v1.Node',
      'cloudless.api.v1.NodePhase',
      'grpc.health.v1.HealthCheckResponse.ServingStatus',
      'no.such.Thing',
    ]
    async function* questions() {
      yield { messageRequest: { case: 'listServices' as const, value: '' } }
      yield {
        messageRequest: { case: 'fileByFilename' as const, value: 'cloudless/v1/node.proto' },
      }
      for (const value of symbols) {
        yield { messageRequest: { case: 'fileContainingSymbol' as const, value } }
      }
      yield { messageRequest: { case: 'allExtensionNumbersOfType' as const, value: 'x' } }
    }
    const answers = await Array.fromAsync(client.serverReflectionInfo(questions()))
    const cases = answers.map((answer) => answer.messageResponse.case)
    const file = 'fileDescriptorResponse'
    assert.deepEqual(cases, [
      'listServicesResponse',
      file,
      file,
      file,
      file,
      file,
      file,
      'errorResponse',
      'errorResponse',
    ])
    const [list] = answers
    assert.ok(list?.messageResponse.case === 'listServicesResponse')
    assert.equal(list.messageResponse.value.service.length, 8)
  })
}

test('says who holds a port that is taken, and leaves nothing open', async (t) => {
  const holder = createServer()
  holder.listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  const taken = { host: '127.0.0.1', port }
  for (const options of [
    { addresses: [{ host: '127.0.0.1', port: 0 }, taken] },
    { healthAddress: taken },
    { metricsAddress: taken },
  ]) {
    await assert.rejects(startTestServer(t, { options }), {
      code: 'failed_precondition',
      message: new RegExp(
        `port ${port} on 127.0.0.1, .* is taken by process ${process.pid} \\(.*node`,
      ),
    })
  }
})

test('listens on several addresses', async (t) => {
  const fixture = await startTestServer(t, {
    options: {
      addresses: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.2', port: 0 },
      ],
    },
  })
  assert.deepEqual(
    fixture.server.addresses.map((address) => address.host),
    ['127.0.0.1', '127.0.0.2'],
  )
})

test('closes within its grace though streams are open', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: {
      async *watchNodes() {
        yield {}
        await new Promise(() => undefined)
      },
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  const watch = client.watchNodes({})[Symbol.asyncIterator]()
  await watch.next()
  const ended = assert.rejects(watch.next(), { code: 14, message: /shutting down/ })
  await fixture.server.close()
  await ended
  await until('every connection is closed', () => fixture.server.connectionCount() === 0)
})

test('forgets a call when it has been answered, and closes at once when none runs', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: { getNode: () => ({}) },
    options: { shutdownGraceMs: 60_000 },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  for (let n = 0; n < 3; n++) await client.getNode({})
  const headers = json
  await fetchPath(fixture, path('GetNode'), { credentials: operator, headers, body: '{}' })
  let closed = false
  void fixture.server.close().then(() => (closed = true))
  await until('the end of the server', () => closed)
})

test('keeps strangers from crowding out members', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: { getNode: () => ({ id: 'ok' }) },
    options: { strangersMax: 2 },
  })
  const dial = async () => {
    const socket = connect({ ...clientOptions(fixture.ca), host: '127.0.0.1', port: fixture.port })
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.resume()
    await once(socket, 'secureConnect')
    return socket
  }
  const [first] = [await dial(), await dial()]
  await until('two are in', () => fixture.server.connectionCount() === 2)
  const third = await dial()
  if (!third.destroyed) await once(third, 'close', { signal: AbortSignal.timeout(5_000) })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  assert.equal((await client.getNode({})).id, 'ok')
  first.destroy()
  await until('one has left', () => fixture.server.connectionCount() === 2)
  const next = await dial()
  await until('another is in', () => fixture.server.connectionCount() === 3)
  assert.equal(next.destroyed, false)
})

test('surrounds every handler with the interceptors it is given, which see the ids', async (t) => {
  const seen: (string | null)[] = []
  const fixture = await startTestServer(t, {
    coordinator: { getNode: () => ({}) },
    deps: {
      interceptors: [
        (next) => (request) => {
          seen.push(request.header.get('x-request-id'), request.header.get('x-correlation-id'))
          return next(request)
        },
      ],
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(CoordinatorService, transportTo(t, fixture, operator))
  await client.getNode({}, { headers: { 'x-correlation-id': 'bad id; drop table' } })
  const { facts } = fixture.ended[0]!
  assert.deepEqual(seen, [facts.requestId, facts.correlationId])
  assert.match(facts.correlationId, /^[a-z0-9]{16}$/)
})
