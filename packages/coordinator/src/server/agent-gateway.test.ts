/** Calls to agents over the connections they dial, through the whole server, with real sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { AgentService, fromConnectError } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { Credentials } from '@cloudless/identity'
import { createClient, type ServiceImpl } from '@connectrpc/connect'
import {
  clientOptions,
  credentialsFor,
  dialBack,
  startTestServer,
  transportTo,
  until,
} from './testing.ts'
import { agentAlpn } from './tls-listener.ts'
import { connect } from 'node:tls'

type Agent = Partial<ServiceImpl<typeof AgentService>>

async function setUp(t: TestContext, agent: Agent, dialBackMs?: number) {
  let dial: (nodeId: string) => boolean = () => false
  const fixture = await startTestServer(t, {
    requestDialBack: (nodeId) => dial(nodeId),
    ...(dialBackMs === undefined ? {} : { dialBackMs }),
  })
  const node = await credentialsFor(fixture.ca, 'node', 'node-a')
  dial = (nodeId) => {
    if (nodeId !== 'node-a') return false
    void dialBack(t, fixture, node, agent)
    return true
  }
  const operator = await credentialsFor(fixture.ca, 'operator', 'admin')
  const client = createClient(AgentService, transportTo(t, fixture, operator))
  return { fixture, node, operator, client, dialWith: (act: typeof dial) => (dial = act) }
}

test('carries unary calls, streams and both-way streams to the agent', async (t) => {
  const { client, fixture } = await setUp(t, {
    getContainerStatus: (request) => ({ containerId: request.containerId, state: 'running' }),
    async *streamLogs(request) {
      for (let n = 0; n < 3; n++) yield { line: `${request.containerId} ${n}` }
    },
    async *exec(inputs) {
      for await (const { input } of inputs) {
        if (input.case === 'start') yield { output: { case: 'started', value: true } }
        if (input.case === 'stdin') yield { output: { case: 'stdout', value: input.value } }
        if (input.case === 'closeStdin') yield { output: { case: 'exitCode', value: 7 } }
      }
    },
  })
  const status = await client.getContainerStatus({ containerId: 'node-a/web' })
  assert.deepEqual([status.containerId, status.state], ['node-a/web', 'running'])
  const lines = await Array.fromAsync(client.streamLogs({ containerId: 'node-a/web' }))
  assert.deepEqual(
    lines.map(({ line }) => line),
    ['node-a/web 0', 'node-a/web 1', 'node-a/web 2'],
  )
  let heard: (() => void) | undefined
  async function* inputs() {
    yield { input: { case: 'start' as const, value: { containerId: 'node-a/web' } } }
    for (const text of ['one', 'two']) {
      yield { input: { case: 'stdin' as const, value: Buffer.from(text) } }
      await new Promise<void>((resolve) => (heard = resolve))
    }
    yield { input: { case: 'closeStdin' as const, value: true } }
  }
  const outputs: unknown[] = []
  for await (const { output } of client.exec(inputs())) {
    outputs.push(output.case === 'stdout' ? Buffer.from(output.value).toString() : output.value)
    if (output.case === 'stdout') heard?.()
  }
  assert.deepEqual(outputs, [true, 'one', 'two', 7])
  assert.equal(fixture.dialBacks.length, 1, 'one connection serves them all')
})

test('passes on deadline, cancellation and ids', async (t) => {
  const seen: { timeoutMs?: number | undefined; correlationId?: string | null; ended?: boolean } =
    {}
  const { client } = await setUp(t, {
    getContainerStatus: (_request, context) => {
      seen.timeoutMs = context.timeoutMs()
      seen.correlationId = context.requestHeader.get('x-correlation-id')
      return {}
    },
    async *streamLogs(_request, context) {
      yield {}
      await once(context.signal, 'abort')
      seen.ended = true
    },
  })
  const headers = { 'x-correlation-id': 'abc' }
  await client.getContainerStatus({ nodeId: 'node-a' }, { timeoutMs: 5_000, headers })
  assert.equal(seen.correlationId, 'abc')
  assert.ok(seen.timeoutMs! > 3_000 && seen.timeoutMs! <= 5_000)
  const controller = new AbortController()
  const logs = client.streamLogs({ nodeId: 'node-a' }, { signal: controller.signal })
  const source = logs[Symbol.asyncIterator]()
  await source.next()
  controller.abort()
  await assert.rejects(source.next())
  await until('the agent is told', () => seen.ended === true)
})

test('gives back the errors of the agent as it threw them', async (t) => {
  const refuse = (): never => {
    throw new CloudlessError('failed_precondition', 'no shell in it', { details: { n: 1 } })
  }
  const { client } = await setUp(t, {
    execCommand: () => Promise.reject(new CloudlessError('not_found', 'no such container')),
    async *pullImage() {
      yield { phase: 'resolving' }
      const { toConnectError } = await import('@cloudless/api')
      try {
        refuse()
      } catch (reason) {
        throw toConnectError(reason)
      }
    },
  })
  const error = await Array.fromAsync(client.pullImage({ nodeId: 'node-a' })).catch(
    fromConnectError,
  )
  assert.ok(error instanceof CloudlessError)
  assert.deepEqual([error.code, error.message], ['failed_precondition', 'no shell in it'])
  assert.deepEqual(error.details, { n: 1 })
  await assert.rejects(client.listImages({ nodeId: 'node-a' }), { code: 12 })
})

test('says which field is missing when a call names no place', async (t) => {
  const { client } = await setUp(t, {})
  await assert.rejects(client.getContainerStatus({}), {
    code: 3,
    message: /container_id or node_id/,
  })
  await assert.rejects(client.listImages({}), { code: 3, message: /node_id: must not be empty/ })
  async function* nothing() {}
  await assert.rejects(Array.fromAsync(client.exec(nothing())), { code: 3, message: /start: must/ })
  async function* wrong() {
    yield { input: { case: 'closeStdin' as const, value: true } }
  }
  await assert.rejects(Array.fromAsync(client.exec(wrong())), { code: 3 })
})

test('says so when the node is not connected, or does not dial back', async (t) => {
  const { client, dialWith } = await setUp(t, {}, 100)
  await assert.rejects(client.listImages({ nodeId: 'node-b' }), {
    code: 14,
    message: /the node "node-b" is not connected/,
  })
  dialWith(() => true)
  await assert.rejects(client.listImages({ nodeId: 'node-a' }), {
    code: 14,
    message: /"node-a" did not dial back within 100 ms/,
  })
})

test('asks once for many calls, and again when the connection is gone', async (t) => {
  const sockets: { destroy: () => void }[] = []
  const { client, fixture, dialWith, node } = await setUp(t, {})
  dialWith(() => {
    void dialBack(t, fixture, node, { listImages: () => ({ total: 1 }) }).then((socket) =>
      sockets.push(socket),
    )
    return true
  })
  await Promise.all([1, 2, 3].map(() => client.listImages({ nodeId: 'node-a' })))
  assert.equal(fixture.dialBacks.length, 1)
  await until('the agent knows its socket', () => sockets.length === 1)
  sockets[0]!.destroy()
  await until('the gateway has forgotten it', () => fixture.gateway.connectionCount === 0)
  await client.listImages({ nodeId: 'node-a' })
  assert.equal(fixture.dialBacks.length, 2)
})

test('fails the calls that run when the agent dies', async (t) => {
  const { client, fixture, dialWith, node } = await setUp(t, {})
  let socket: { destroy: () => void } | undefined
  dialWith(() => {
    const agent: Agent = {
      async *streamLogs() {
        yield {}
        await new Promise(() => undefined)
      },
    }
    void dialBack(t, fixture, node, agent).then((dialled) => (socket = dialled))
    return true
  })
  const logs = client.streamLogs({ nodeId: 'node-a' })[Symbol.asyncIterator]()
  await logs.next()
  socket!.destroy()
  await assert.rejects(logs.next(), (reason) =>
    ['unavailable', 'cancelled'].includes(fromConnectError(reason).code),
  )
})

test('gives up waiting when the caller does, when the node goes, and when we close', async (t) => {
  const { fixture, dialWith } = await setUp(t, {})
  dialWith(() => true)
  const { gateway } = fixture
  await assert.rejects(gateway.clientFor('node-a', AbortSignal.abort()), { code: 'cancelled' })
  const controller = new AbortController()
  const given = gateway.clientFor('node-a', controller.signal)
  controller.abort()
  await assert.rejects(given, { code: 'cancelled' })
  const waiting = gateway.clientFor('node-a')
  gateway.disconnect('node-a')
  await assert.rejects(waiting, { code: 'unavailable', message: /has disconnected/ })
  const last = gateway.clientFor('node-b')
  gateway.close()
  await assert.rejects(last, { code: 'unavailable' })
})

test('takes reversed connections from nodes only, and cuts those of a removed one', async (t) => {
  const { fixture, node, operator } = await setUp(t, {})
  const refused = async (credentials: Credentials | undefined): Promise<void> => {
    const options = clientOptions(fixture.ca, credentials, [agentAlpn])
    const socket = connect({ ...options, host: '127.0.0.1', port: fixture.port })
    socket.on('error', () => undefined)
    await once(socket, 'close', { signal: AbortSignal.timeout(5_000) })
  }
  await refused(undefined)
  await refused(operator)
  fixture.removed.add('node-a')
  await refused(node)
  assert.equal(fixture.gateway.connectionCount, 0)
  fixture.removed.clear()
  const socket = await dialBack(t, fixture, node, {})
  await until('it is accepted', () => fixture.gateway.connectionCount === 1)
  const closed = once(socket, 'close')
  fixture.server.closeConnectionsOf('node-a')
  await closed
  await until('it is forgotten', () => fixture.gateway.connectionCount === 0)
})
