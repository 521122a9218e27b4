/** Unary calls served straight on their streams and those that go the library's way look the same to their callers. */
import assert from 'node:assert/strict'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { test, type TestContext } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { CoordinatorService, GetNodeRequestSchema, requestIdHeader } from '@cloudless/api'
import { CloudlessError, systemClock } from '@cloudless/base'
import { Code, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { isDirectUnary } from './direct-unary.ts'
import { clientOptions, credentialsFor, startTestServer, until } from './testing.ts'

type Handlers = NonNullable<NonNullable<Parameters<typeof startTestServer>[1]>['coordinator']>

async function setUp(
  t: TestContext,
  kind: 'direct' | 'library',
  coordinator: Handlers,
  options: NonNullable<Parameters<typeof startTestServer>[1]>['options'] = {},
) {
  const fixture = await startTestServer(t, { coordinator, options })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const transport = createConnectTransport({
    httpVersion: '2',
    baseUrl: `https://127.0.0.1:${fixture.port}`,
    nodeOptions: clientOptions(fixture.ca, operator),
    useBinaryFormat: kind === 'direct',
  })
  return { fixture, operator, client: createClient(CoordinatorService, transport) }
}

const named: Handlers = { getNode: ({ nodeId }) => ({ id: nodeId }) }

for (const kind of ['direct', 'library'] as const) {
  test(`${kind}: many calls at once get each its own answer and its ids back`, async (t) => {
    const { client, fixture } = await setUp(t, kind, named)
    const names = Array.from({ length: 200 }, (_, n) => `node-${n}`)
    const answers = await Promise.all(
      names.map(async (nodeId) => {
        let told: string | null = null
        const headers = { [requestIdHeader]: `id-of-${nodeId}` }
        const onHeader = (given: Headers): void => void (told = given.get(requestIdHeader))
        const { id } = await client.getNode({ nodeId }, { headers, onHeader })
        assert.equal(told, `id-of-${nodeId}`)
        return id
      }),
    )
    assert.deepEqual(answers, names)
    assert.equal(fixture.ended.length, names.length)
    assert.ok(fixture.ended.every(({ outcome }) => outcome.code === undefined))
  })

  test(`${kind}: a large answer arrives whole, and a large request is read whole`, async (t) => {
    const { client } = await setUp(t, kind, named)
    const nodeId = 'n'.repeat(1_000_000)
    assert.equal((await client.getNode({ nodeId })).id, nodeId)
  })

  test(`${kind}: what a handler throws is told with its code, details and headers`, async (t) => {
    const { client, fixture } = await setUp(t, kind, {
      getNode: () => {
        const details = { retryAfterMs: 1_500 }
        throw new CloudlessError('resource_exhausted', 'not so often', { details })
      },
    })
    await assert.rejects(client.getNode({}), (reason: unknown) => {
      assert.ok(reason instanceof Error && 'code' in reason && 'metadata' in reason)
      assert.equal(reason.code, Code.ResourceExhausted)
      assert.match(reason.message, /not so often/)
      assert.equal((reason.metadata as Headers).get('retry-after-ms'), '1500')
      return true
    })
    assert.equal(fixture.ended.at(-1)?.outcome.code, 'resource_exhausted')
  })

  test(`${kind}: what is our own fault is not described to the caller`, async (t) => {
    const { client } = await setUp(t, kind, {
      getNode: () => {
        throw new TypeError('a secret of ours')
      },
    })
    await assert.rejects(client.getNode({}), {
      code: Code.Internal,
      rawMessage: /its log says why/,
    })
  })

  test(`${kind}: a call ends with its caller's time, and its handler learns of it`, async (t) => {
    const seen: { timeoutMs?: number | undefined; ended?: true } = {}
    const { client } = await setUp(t, kind, {
      getNode: async (_request, context) => {
        seen.timeoutMs = context.timeoutMs()
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
        seen.ended = true
        return {}
      },
    })
    await assert.rejects(client.getNode({}, { timeoutMs: 200 }), { code: Code.DeadlineExceeded })
    await until('the handler to learn of it', () => seen.ended === true)
    assert.ok(seen.timeoutMs! > 0 && seen.timeoutMs! <= 200, String(seen.timeoutMs))
  })

  test(`${kind}: a handler learns that its caller has gone`, async (t) => {
    const gone = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const { client, fixture } = await setUp(t, kind, {
      getNode: async (_request, context) => {
        context.signal.addEventListener('abort', () => gone.resolve(), { once: true })
        begun.resolve()
        await gone.promise
        return {}
      },
    })
    const leaving = new AbortController()
    const refused = assert.rejects(client.getNode({}, { signal: leaving.signal }))
    await begun.promise
    leaving.abort()
    await refused
    await gone.promise
    await until('the call to end', () => fixture.ended.length === 1)
    assert.equal(fixture.ended[0]?.outcome.code, 'cancelled')
  })

  test(`${kind}: a message that is too large is refused`, async (t) => {
    const { client } = await setUp(t, kind, named)
    await assert.rejects(client.getNode({ nodeId: 'n'.repeat(5_000_000) }), {
      code: Code.ResourceExhausted,
    })
    assert.equal((await client.getNode({ nodeId: 'a' })).id, 'a')
  })

  test(`${kind}: whoever calls too often is refused before the body is read`, async (t) => {
    const rateLimit = { perSecond: 1, burst: 2 }
    const { client } = await setUp(t, kind, named, { rateLimit })
    const calls = Array.from({ length: 10 }, () => client.getNode({ nodeId: 'n'.repeat(100_000) }))
    const refused = (await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected')
    assert.equal(refused.length, 8)
  })
}

test('a call that had to wait before it was served is read to its end, whatever has come meanwhile', async (t) => {
  const fixture = await startTestServer(t, {
    coordinator: named,
    deps: {
      forward: ({ serveHere }) => {
        // Nobody reads it meanwhile, so nothing tells that it is there.
        systemClock.after(100, serveHere)
        return true
      },
    },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const session = connect(`https://127.0.0.1:${fixture.port}`, clientOptions(fixture.ca, operator))
  t.after(() => session.destroy())
  const request = toBinary(GetNodeRequestSchema, create(GetNodeRequestSchema, { nodeId: 'a' }))
  for (const body of [undefined, new Uint8Array(), request]) {
    assert.equal((await post(session, body)).status, 200)
  }
})

test('a body that is no message of the method is refused', async (t) => {
  const { fixture, operator } = await setUp(t, 'direct', named)
  const session = connect(`https://127.0.0.1:${fixture.port}`, clientOptions(fixture.ca, operator))
  t.after(() => session.destroy())
  const refused = await post(session, Buffer.from('ffffff', 'hex'))
  assert.equal(refused.status, 400)
  assert.match(refused.text, /"invalid_argument".*is not a message of this method/)
  const request = toBinary(GetNodeRequestSchema, create(GetNodeRequestSchema, { nodeId: 'a' }))
  assert.equal((await post(session, request)).status, 200)
  assert.equal((await post(session)).status, 200, 'an empty message, without a body')
})

async function post(session: ClientHttp2Session, body?: Uint8Array) {
  const stream = session.request(
    { ...headers, ':path': '/cloudless.api.v1.CoordinatorService/GetNode' },
    { endStream: body === undefined },
  )
  if (body !== undefined) stream.end(body)
  const [answer] = await new Promise<[IncomingHttpHeaders]>((resolve) =>
    stream.once('response', (given) => resolve([given])),
  )
  const text = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)).toString()
  return { status: answer[':status'], text }
}

const headers = {
  ':method': 'POST',
  'content-type': 'application/proto',
  'connect-protocol-version': '1',
}
const cases: readonly [string, NodeJS.Dict<string>, boolean][] = [
  ['as our clients make it', {}, true],
  ['without a version', { 'connect-protocol-version': undefined! }, true],
  ['with a deadline', { 'connect-timeout-ms': '1000' }, true],
  ['with a deadline that is none', { 'connect-timeout-ms': '-5' }, false],
  ['that is not compressed, and says so', { 'content-encoding': 'identity' }, true],
  ['that is compressed', { 'content-encoding': 'gzip' }, false],
  ['in JSON', { 'content-type': 'application/json' }, false],
  ['of gRPC', { 'content-type': 'application/grpc' }, false],
  ['as GET', { ':method': 'GET' }, false],
]
for (const [what, changed, expected] of cases) {
  test(`a call ${what} ${expected ? 'is served directly' : "goes the library's way"}`, () => {
    assert.equal(isDirectUnary({ ...headers, ...changed }), expected)
  })
}
