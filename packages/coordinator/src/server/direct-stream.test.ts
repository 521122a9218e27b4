/** Sessions served straight on their streams and those that go the library's way look the same to their callers. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  type CoordinatorMessageSchema,
  CoordinatorService,
  type AgentMessage,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { Code, createClient } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node'
import { isDirectStream } from './direct-stream.ts'
import { clientOptions, credentialsFor, startTestServer } from './testing.ts'

type Session = NonNullable<Parameters<typeof startTestServer>[1]>['coordinator']

async function openSession(t: TestContext, kind: 'direct' | 'library', coordinator: Session) {
  const fixture = await startTestServer(t, { coordinator: coordinator! })
  const node = await credentialsFor(fixture.ca, 'node', 'node-a')
  const options = {
    baseUrl: `https://127.0.0.1:${fixture.port}`,
    nodeOptions: clientOptions(fixture.ca, node),
  }
  const transport =
    kind === 'direct'
      ? createConnectTransport({ ...options, httpVersion: '2' })
      : createGrpcTransport(options)
  return { fixture, client: createClient(CoordinatorService, transport) }
}

async function* heartbeats(count: number): AsyncGenerator<AgentMessage> {
  for (let n = 1; n <= count; n++) {
    const value = { nodeId: 'node-a', sequence: BigInt(n) }
    yield create(AgentMessageSchema, { message: { case: 'heartbeat', value } })
  }
}

/** Acknowledges each heartbeat. */
async function* acknowledge(messages: AsyncIterable<AgentMessage>) {
  for await (const { message } of messages) {
    if (message.case !== 'heartbeat') continue
    const { sequence } = message.value
    yield { message: { case: 'heartbeatAck' as const, value: { sequence } } }
  }
}

for (const kind of ['direct', 'library'] as const) {
  test(`${kind}: answers come while the caller still speaks, and end with the handler`, async (t) => {
    const { client, fixture } = await openSession(t, kind, { session: acknowledge })
    const sequences: bigint[] = []
    for await (const { message } of client.session(heartbeats(200))) {
      if (message.case === 'heartbeatAck') sequences.push(message.value.sequence)
    }
    assert.deepEqual(
      sequences,
      Array.from({ length: 200 }, (_, n) => BigInt(n + 1)),
    )
    assert.equal(fixture.ended.at(-1)?.outcome.code, undefined)
  })

  test(`${kind}: a large answer arrives whole`, async (t) => {
    const { client } = await openSession(t, kind, {
      async *session() {
        const value = { upsert: Array.from({ length: 2_000 }, (_, n) => ({ replicaId: `r-${n}` })) }
        yield { message: { case: 'assignments' as const, value } } satisfies MessageInitShape<
          typeof CoordinatorMessageSchema
        >
      },
    })
    const [answer] = await Array.fromAsync(client.session(heartbeats(1)))
    assert.ok(answer?.message.case === 'assignments')
    assert.equal(answer.message.value.upsert.at(-1)?.replicaId, 'r-1999')
  })

  test(`${kind}: what a handler throws is told with its code, after what it had said`, async (t) => {
    const { client, fixture } = await openSession(t, kind, {
      async *session() {
        yield {}
        throw new CloudlessError('failed_precondition', 'not like this')
      },
    })
    const seen: unknown[] = []
    await assert.rejects(
      async () => {
        for await (const message of client.session(heartbeats(1))) seen.push(message)
      },
      { code: Code.FailedPrecondition, rawMessage: 'not like this' },
    )
    assert.equal(seen.length, 1)
    assert.equal(fixture.ended.at(-1)?.outcome.code, 'failed_precondition')
  })

  test(`${kind}: nobody speaks for another node`, async (t) => {
    const { client } = await openSession(t, kind, { session: acknowledge })
    async function* foreign() {
      const value = { nodeId: 'node-b', sequence: 1n }
      yield create(AgentMessageSchema, { message: { case: 'heartbeat', value } })
    }
    await assert.rejects(Array.fromAsync(client.session(foreign())), {
      code: Code.PermissionDenied,
    })
  })

  test(`${kind}: a handler learns that its caller has gone`, async (t) => {
    const gone = Promise.withResolvers<void>()
    const { client } = await openSession(t, kind, {
      async *session(_messages, context) {
        context.signal.addEventListener('abort', () => gone.resolve(), { once: true })
        yield {}
        await gone.promise
      },
    })
    const abort = new AbortController()
    await assert.rejects(async () => {
      for await (const _ of client.session(heartbeats(1), { signal: abort.signal })) abort.abort()
    })
    await gone.promise
  })
}

const headers = { 'content-type': 'application/connect+proto', 'connect-protocol-version': '1' }
const cases: readonly [string, NodeJS.Dict<string>, boolean][] = [
  ['as agents open it', {}, true],
  ['without a version', { 'connect-protocol-version': undefined! }, true],
  ['not compressed, and saying so', { 'connect-content-encoding': 'identity' }, true],
  ['compressed', { 'connect-content-encoding': 'gzip' }, false],
  ['with a deadline', { 'connect-timeout-ms': '1000' }, false],
  ['JSON', { 'content-type': 'application/connect+json' }, false],
  ['gRPC', { 'content-type': 'application/grpc' }, false],
]
for (const [what, changed, expected] of cases) {
  test(`a stream ${what} ${expected ? 'is served directly' : "goes the library's way"}`, () => {
    assert.equal(isDirectStream({ ...headers, ...changed }), expected)
  })
}
