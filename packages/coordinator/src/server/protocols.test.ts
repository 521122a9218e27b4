/** Other people's clients: gRPC as its own library speaks it, and gRPC-web as a browser does. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  CoordinatorService,
  GetNodeRequestSchema,
  NodeSchema,
  WatchNodesRequestSchema,
  WatchNodesResponseSchema,
  WatchKind,
} from '@cloudless/api'
import { CloudlessError, systemClock } from '@cloudless/base'
import { create } from '@bufbuild/protobuf'
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node'
import { Client, credentials as grpcCredentials, status } from '@grpc/grpc-js'
import { clientOptions, credentialsFor, fetchPath, startTestServer } from './testing.ts'

async function setUp(t: TestContext) {
  const fixture = await startTestServer(t, {
    coordinator: {
      getNode: (request) => {
        if (request.nodeId === 'none') throw new CloudlessError('not_found', 'no such node')
        return { id: request.nodeId }
      },
      async *watchNodes() {
        yield { kind: WatchKind.ADDED }
        yield { kind: WatchKind.SYNCED }
      },
    },
    // The gRPC library dials names and checks them.
    options: { addresses: [{ host: 'localhost', port: 0 }], dnsNames: ['localhost'] },
  })
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  return { fixture, operator }
}

test('serves the gRPC library: unary, streams, errors', async (t) => {
  const { fixture, operator } = await setUp(t)
  const client = new Client(
    `localhost:${fixture.port}`,
    grpcCredentials.createSsl(
      Buffer.from(fixture.ca.certificatePem),
      Buffer.from(operator.keyPem),
      Buffer.from(operator.certificatePem),
    ),
  )
  t.after(() => client.close())
  const deadline = () => ({ deadline: systemClock.wallMs() + 5_000 })
  const getNode = (nodeId: string) =>
    new Promise<string>((resolve, reject) =>
      client.makeUnaryRequest(
        '/cloudless.api.v1.CoordinatorService/GetNode',
        (id: string) =>
          Buffer.from(toBinary(GetNodeRequestSchema, create(GetNodeRequestSchema, { nodeId: id }))),
        (bytes: Buffer) => fromBinary(NodeSchema, bytes).id,
        nodeId,
        deadline(),
        (error, id) => (error ? reject(error) : resolve(id!)),
      ),
    )
  assert.equal(await getNode('node-a'), 'node-a')
  await assert.rejects(getNode('none'), { code: status.NOT_FOUND, details: 'no such node' })
  const watch = client.makeServerStreamRequest(
    '/cloudless.api.v1.CoordinatorService/WatchNodes',
    () => Buffer.from(toBinary(WatchNodesRequestSchema, create(WatchNodesRequestSchema))),
    (bytes: Buffer) => fromBinary(WatchNodesResponseSchema, bytes).kind,
    {},
    deadline(),
  )
  assert.deepEqual(await Array.fromAsync(watch), [WatchKind.ADDED, WatchKind.SYNCED])
})

for (const [name, createTransport] of [
  ['gRPC', createGrpcTransport],
  ['gRPC-web', createGrpcWebTransport],
] as const) {
  test(`serves ${name}: unary, streams, errors`, async (t) => {
    const { fixture, operator } = await setUp(t)
    const transport = createTransport({
      httpVersion: '2',
      baseUrl: `https://localhost:${fixture.port}`,
      nodeOptions: clientOptions(fixture.ca, operator),
    } as Parameters<typeof createGrpcTransport>[0] & Parameters<typeof createGrpcWebTransport>[0])
    const client = createClient(CoordinatorService, transport)
    assert.equal((await client.getNode({ nodeId: 'node-a' })).id, 'node-a')
    await assert.rejects(client.getNode({ nodeId: 'none' }), {
      code: 5,
      rawMessage: 'no such node',
    })
    assert.equal((await Array.fromAsync(client.watchNodes({}))).length, 2)
  })
}

test('serves gRPC-web over HTTP/1.1, as a proxy or a browser brings it', async (t) => {
  const { fixture, operator } = await setUp(t)
  const message = toBinary(GetNodeRequestSchema, create(GetNodeRequestSchema, { nodeId: 'node-a' }))
  const body = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message])
  const answer = await fetchPath(fixture, '/cloudless.api.v1.CoordinatorService/GetNode', {
    credentials: operator,
    headers: { 'content-type': 'application/grpc-web+proto' },
    body,
  })
  assert.equal(answer.status, 200)
  const length = answer.bytes.readUInt32BE(1)
  assert.equal(fromBinary(NodeSchema, answer.bytes.subarray(5, 5 + length)).id, 'node-a')
  assert.match(answer.bytes.subarray(5 + length).toString(), /grpc-status: ?0/)
})

test('says INVALID_ARGUMENT to undecodable gRPC', async (t) => {
  const { fixture, operator } = await setUp(t)
  const { connect } = await import('node:http2')
  const session = connect(`https://localhost:${fixture.port}`, clientOptions(fixture.ca, operator))
  t.after(() => session.destroy())
  for (const method of ['GetNode', 'WatchNodes']) {
    const stream = session.request({
      ':method': 'POST',
      ':path': `/cloudless.api.v1.CoordinatorService/${method}`,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    })
    stream.end(Buffer.from('0000000003ffffff', 'hex'))
    stream.resume()
    const grpcStatus = await new Promise<unknown>((resolve) => {
      const look = (headers: Readonly<Record<string, unknown>>): void => {
        if (headers['grpc-status'] !== undefined) resolve(headers['grpc-status'])
      }
      stream.on('response', look)
      stream.on('trailers', look)
    })
    assert.equal(String(grpcStatus), String(status.INVALID_ARGUMENT), method)
  }
})

test('says INVALID_ARGUMENT to undecodable gRPC-web', async (t) => {
  const { fixture, operator } = await setUp(t)
  for (const method of ['GetNode', 'WatchNodes']) {
    const answer = await fetchPath(fixture, `/cloudless.api.v1.CoordinatorService/${method}`, {
      credentials: operator,
      headers: { 'content-type': 'application/grpc-web+proto' },
      body: Buffer.from('0000000003ffffff', 'hex'),
    })
    assert.match(answer.bytes.subarray(5).toString(), /grpc-status: ?3\b/, method)
    assert.equal(answer.bytes.readUInt32BE(1), answer.bytes.length - 5, 'the frame is whole')
  }
})
