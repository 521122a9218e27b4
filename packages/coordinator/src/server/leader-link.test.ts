import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { CoordinatorService, fromConnectError } from '@cloudless/api'
import { CloudlessError, systemClock, type Clock } from '@cloudless/base'
import { createClient, type Client, type ServiceImpl } from '@connectrpc/connect'
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node'
import { FakeClock } from '../testing/fake-clock.ts'
import { callContextOf } from './call-context.ts'
import { LeaderLink } from './leader-link.ts'
import { encodeCaller, onBehalfHeader } from './on-behalf.ts'
import {
  clientOptions,
  credentialsFor,
  fetchPath,
  openTestCa,
  startTestServer,
  until,
  type TestServer,
} from './testing.ts'

const path = (method: string): string => `/cloudless.api.v1.CoordinatorService/${method}`

/** A leader with these handlers, and a follower that sends every call on to it. */
async function setUp(
  t: TestContext,
  handlers: Partial<ServiceImpl<typeof CoordinatorService>>,
  clock: Clock = systemClock,
) {
  const ca = await openTestCa(t)
  const leader = await startTestServer(t, { ca, coordinator: handlers })
  let died = 0
  const link = new LeaderLink(
    {
      clock,
      trustDomain: 'cloudless',
      credentials: () => credentialsFor(ca, 'controller', 'coordinator-2'),
      onDead: () => died++,
      onProblem: () => undefined,
    },
    { leaderId: 'coordinator-1', addresses: [`127.0.0.1:${leader.port}`] },
  )
  t.after(() => link.close())
  const follower = await startTestServer(t, {
    ca,
    deps: {
      forward: ({ request, response, connection }) => {
        if (!(request.url ?? '').startsWith('/cloudless.')) return false
        link.forward(request, response, connection)
        return true
      },
    },
  })
  await link.connected
  const operator = await credentialsFor(ca, 'operator', 'me')
  return { ca, leader, follower, link, operator, deaths: () => died }
}

type Protocol = 'gRPC' | 'gRPC-web' | 'Connect'

async function clientOf(
  { port, ca }: Pick<TestServer, 'port' | 'ca'>,
  protocol: Protocol,
): Promise<Client<typeof CoordinatorService>> {
  const operator = await credentialsFor(ca, 'operator', 'me')
  const make = {
    gRPC: createGrpcTransport,
    'gRPC-web': createGrpcWebTransport,
    Connect: createConnectTransport,
  }[protocol]
  const transport = make({
    httpVersion: '2',
    baseUrl: `https://127.0.0.1:${port}`,
    nodeOptions: clientOptions(ca, operator),
  })
  return createClient(CoordinatorService, transport)
}

const protocols: readonly Protocol[] = ['gRPC', 'gRPC-web', 'Connect']

for (const protocol of protocols) {
  test(`a call that reaches a follower is the caller's own at the leader: ${protocol}`, async (t) => {
    const { follower } = await setUp(t, {
      getClusterStatus: (_request, context) => ({ clusterId: callContextOf(context).clientName }),
    })
    const client = await clientOf(follower, protocol)
    assert.equal((await client.getClusterStatus({})).clusterId, 'operator/me')
  })

  test(`a stream comes through message by message, and ends when its caller leaves: ${protocol}`, async (t) => {
    let isOpen = false
    const next = Promise.withResolvers<void>()
    const { follower } = await setUp(t, {
      async *watchNodes(_request, { signal }) {
        isOpen = true
        yield { node: { id: 'a' } }
        await next.promise
        yield { node: { id: 'b' } }
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        isOpen = false
      },
    })
    const client = await clientOf(follower, protocol)
    const leaving = new AbortController()
    const received: (string | undefined)[] = []
    await assert.rejects(async () => {
      for await (const message of client.watchNodes({}, { signal: leaving.signal })) {
        received.push(message.node?.id)
        next.resolve()
        if (received.length === 2) leaving.abort()
      }
    })
    assert.deepEqual(received, ['a', 'b'])
    await until('the handler to end', () => !isOpen)
  })

  test(`what the leader refuses arrives with its code and details: ${protocol}`, async (t) => {
    const { follower } = await setUp(t, {
      getClusterStatus: () => {
        throw new CloudlessError('conflict', 'not so', { details: { field: 'x' } })
      },
    })
    const client = await clientOf(follower, protocol)
    const error = await client.getClusterStatus({}).catch(fromConnectError)
    assert.ok(error instanceof CloudlessError)
    assert.deepEqual(
      [error.code, error.message, error.details['field']],
      ['conflict', 'not so', 'x'],
    )
  })

  test(`a call whose leader dies is unavailable at once, and nothing is said of its outcome: ${protocol}`, async (t) => {
    const called = Promise.withResolvers<void>()
    const { follower, leader } = await setUp(t, {
      getClusterStatus: () => {
        called.resolve()
        return new Promise(() => undefined)
      },
    })
    const client = await clientOf(follower, protocol)
    const answer = client.getClusterStatus({}, { timeoutMs: 20_000 }).catch(fromConnectError)
    await called.promise
    await leader.server.close()
    const error = await answer
    assert.ok(error instanceof CloudlessError)
    assert.equal(error.code, 'unavailable')
  })
}

test('JSON over HTTP/1.1 comes through, and its errors with their status', async (t) => {
  const { follower, operator } = await setUp(t, {
    getClusterStatus: () => ({ clusterId: 'cluster-1' }),
    getNode: () => {
      throw new CloudlessError('not_found', 'no such node')
    },
  })
  const json = { credentials: operator, headers: { 'content-type': 'application/json' } }
  const found = await fetchPath(follower, path('GetClusterStatus'), { ...json, body: '{}' })
  assert.deepEqual(JSON.parse(found.text), { clusterId: 'cluster-1' })
  const missing = await fetchPath(follower, path('GetNode'), { ...json, body: '{"nodeId":"x"}' })
  assert.equal(missing.status, 404)
})

test('headers that HTTP/2 does not know hurt nobody', async (t) => {
  const { follower, operator } = await setUp(t, {
    getClusterStatus: () => ({ clusterId: 'cluster-1' }),
  })
  const headers = { 'content-type': 'application/json', te: 'gzip, trailers' }
  const answer = await fetchPath(follower, path('GetClusterStatus'), {
    ...{ credentials: operator, headers, body: '{}' },
  })
  assert.deepEqual(JSON.parse(answer.text), { clusterId: 'cluster-1' })
})

test('calls go over a new connection when the old one takes no more, and what runs there ends there', async (t) => {
  let growOld: () => void = () => undefined
  const clock: Clock = {
    ...systemClock,
    after(delayMs, fire) {
      if (delayMs < 3_600_000) return systemClock.after(delayMs, fire)
      growOld = fire
      return () => undefined
    },
  }
  const next = Promise.withResolvers<void>()
  const { follower, link } = await setUp(
    t,
    {
      getClusterStatus: () => ({ clusterId: 'cluster-1' }),
      async *watchNodes() {
        yield { node: { id: 'a' } }
        await next.promise
        yield { node: { id: 'b' } }
      },
    },
    clock,
  )
  const client = await clientOf(follower, 'gRPC')
  const received: (string | undefined)[] = []
  for await (const message of client.watchNodes({})) {
    received.push(message.node?.id)
    if (received.length > 1) continue
    growOld()
    await link.connected
    assert.equal((await client.getClusterStatus({})).clusterId, 'cluster-1')
    next.resolve()
  }
  assert.deepEqual(received, ['a', 'b'])
})

test('who may not call the leader may not through a follower either', async (t) => {
  const { follower, ca, leader } = await setUp(t, {
    getClusterStatus: () => ({ clusterId: 'secret' }),
  })
  const json = { headers: { 'content-type': 'application/json' }, body: '{}' }
  const anonymous = await fetchPath(follower, path('GetClusterStatus'), json)
  assert.equal(anonymous.status, 401)
  const node = await credentialsFor(ca, 'node', 'node-a')
  const asNode = await fetchPath(follower, path('GetClusterStatus'), { ...json, credentials: node })
  assert.equal(asNode.status, 403)
  const operator = { kind: 'member', type: 'operator', id: 'me', expired: false } as never
  const claim = { [onBehalfHeader]: encodeCaller({ peer: operator, remoteAddress: '127.0.0.1' }) }
  for (const server of [leader, follower]) {
    const claimed = await fetchPath(server, path('GetClusterStatus'), {
      ...{ credentials: node, body: '{}' },
      headers: { ...json.headers, ...claim },
    })
    assert.equal(claimed.status, 403, 'a node that says it asks for an operator is still a node')
  }
})

test('a leader whose port is closed is dead; one that is back is connected to again', async (t) => {
  const { leader, link, deaths } = await setUp(t, {})
  await leader.server.close()
  await until('the death to be seen', () => deaths() > 0)
  assert.equal(link.isConnected, false)
  const silentMs = systemClock.monotonicMs() - link.heardUntilMs
  assert.ok(silentMs > 0 && silentMs < 5_000, `heard ${silentMs} ms ago`)
})

test('it can be closed while it waits for its certificate', async (t) => {
  const ca = await openTestCa(t)
  const leader = await startTestServer(t, { ca })
  const own = await credentialsFor(ca, 'controller', 'coordinator-2')
  const issued = Promise.withResolvers<typeof own>()
  const link = new LeaderLink(
    {
      ...{ clock: systemClock, trustDomain: 'cloudless', credentials: () => issued.promise },
      ...{ onDead: () => undefined, onProblem: () => undefined },
    },
    { leaderId: 'coordinator-1', addresses: [`127.0.0.1:${leader.port}`] },
  )
  const closed = link.close()
  issued.resolve(own)
  await closed
  assert.equal(leader.server.connectionCount(), 0)
})

test('a connection that was just given up is not asked whether it still is one', async (t) => {
  const clock = new FakeClock()
  const { link } = await setUp(t, {}, clock)
  await until('the first answer to a ping', () => clock.timerCount === 2)
  const closed = link.close()
  clock.advance(1_000)
  await closed
})

test('a leader that is another coordinator than it should be is not believed', async (t) => {
  const ca = await openTestCa(t)
  const leader = await startTestServer(t, { ca })
  const problems: string[] = []
  const link = new LeaderLink(
    {
      clock: systemClock,
      trustDomain: 'cloudless',
      credentials: () => credentialsFor(ca, 'controller', 'coordinator-2'),
      onDead: () => problems.push('dead'),
      onProblem: (message, reason) => problems.push(`${message}: ${String(reason)}`),
    },
    { leaderId: 'coordinator-3', addresses: [`127.0.0.1:${leader.port}`] },
  )
  after(() => link.close())
  await until('a problem', () => problems.length > 0)
  await link.close()
  assert.match(problems[0]!, /it is controller "coordinator-1", not controller "coordinator-3"/)
})
