import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { CoordinatorService } from '@cloudless/api'
import { createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import {
  clientOptions,
  credentialsFor,
  openTestCa,
  startTestServer,
  until,
} from '../server/testing.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { CallRoute } from './call-route.ts'

/** A coordinator that knows of no leader, and a client of it. */
async function setUp(t: TestContext, httpVersion: '1.1' | '2') {
  const ca = await openTestCa(t)
  const route = new CallRoute(new FakeClock())
  let [taken, left, served] = [0, 0, 0]
  const { port } = await startTestServer(t, {
    ca,
    coordinator: {
      getClusterStatus: () => {
        served++
        return { clusterId: 'cluster-1' }
      },
    },
    deps: {
      forward: (call) => {
        call.response.once('close', () => left++)
        taken++
        return route.take(call)
      },
    },
  })
  const transport = createConnectTransport({
    httpVersion,
    baseUrl: `https://127.0.0.1:${port}`,
    nodeOptions: clientOptions(ca, await credentialsFor(ca, 'operator', 'me'), [
      httpVersion === '2' ? 'h2' : 'http/1.1',
    ]),
  } as Parameters<typeof createConnectTransport>[0])
  const client = createClient(CoordinatorService, transport)
  return { client, route, counts: () => ({ taken, left, served }) }
}

for (const httpVersion of ['1.1', '2'] as const) {
  test(`a call waits until somebody leads: HTTP/${httpVersion}`, async (t) => {
    const { client, route, counts } = await setUp(t, httpVersion)
    const answer = client.getClusterStatus({})
    await until('the call to come', () => counts().taken === 1)
    route.toHere(() => true)
    assert.equal((await answer).clusterId, 'cluster-1')
  })

  test(`a call that waits is answered here when the coordinator closes: HTTP/${httpVersion}`, async (t) => {
    const { client, route, counts } = await setUp(t, httpVersion)
    const answer = client.getClusterStatus({})
    await until('the call to come', () => counts().taken === 1)
    route.close()
    await answer
    assert.equal(counts().served, 1)
  })

  test(`a call whose caller has left meanwhile is not done later: HTTP/${httpVersion}`, async (t) => {
    const { client, route, counts } = await setUp(t, httpVersion)
    const leaving = new AbortController()
    const answer = client.getClusterStatus({}, { signal: leaving.signal })
    const refused = assert.rejects(answer)
    await until('the call to come', () => counts().taken === 1)
    leaving.abort()
    await refused
    await until('the caller to leave', () => counts().left === 1)
    route.toHere(() => true)
    assert.equal((await client.getClusterStatus({})).clusterId, 'cluster-1')
    assert.equal(counts().served, 1)
  })
}
