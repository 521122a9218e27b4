import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { text } from 'node:stream/consumers'
import { create } from '@bufbuild/protobuf'
import { AgentService, fromConnectError, ReportResourcesResponseSchema } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import {
  loadCredentials,
  saveCredentials,
  tlsClientOptions,
  type CertificateAuthority,
  type Credentials,
  type LoadedCredentials,
} from '@cloudless/identity'
import { systemRandom } from '@cloudless/base'
import { createClient } from '@connectrpc/connect'
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
} from '@connectrpc/connect-node'
import { issueFor, openTestCa, trustDomain } from '../testing/member-credentials.ts'
import { freePort } from '../testing/free-port.ts'
import { listenDirectly } from './direct-listener.ts'

let directory: string
let authority: CertificateAuthority
let operator: Credentials
let shown: LoadedCredentials
let address: string
let listener: { close(): void }
let called: number

async function nodeCredentials(): Promise<LoadedCredentials> {
  const issued = await issueFor(authority, { type: 'node', id: 'node-1' })
  saveCredentials(systemRandom, join(directory, 'identity'), issued)
  return loadCredentials(join(directory, 'identity'))!
}

/** One listener for all tests, which count their calls anew. */
function withListener(): void {
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cloudless-direct-'))
    authority = await openTestCa(join(directory, 'ca'))
    operator = await issueFor(authority, { type: 'operator', id: 'anna' })
    shown = await nodeCredentials()
    address = `127.0.0.1:${await freePort()}`
    listener = await listenDirectly(
      {
        clock: systemClock,
        credentials: () => shown,
        handler: connectNodeAdapter({
          routes: (router) => {
            router.service(AgentService, {
              reportResources: () => {
                called++
                return create(ReportResourcesResponseSchema, { capacity: { cpuMillicores: 7 } })
              },
            })
          },
        }),
        endpoints: {
          notReady: () => 'no session with a coordinator',
          metrics: () => Promise.resolve({ contentType: 'text/plain', body: 'figures 1\n' }),
        },
      },
      { address, trustDomain },
    )
  })
  beforeEach(() => {
    called = 0
  })
  after(() => {
    listener?.close()
    rmSync(directory, { recursive: true, force: true })
  })
}

function transportOf(kind: 'connect' | 'grpc', credentials: Credentials | undefined) {
  const options = {
    baseUrl: `https://${address}`,
    nodeOptions: tlsFor(credentials),
  }
  return kind === 'grpc'
    ? createGrpcTransport(options)
    : createConnectTransport({ ...options, httpVersion: '2' })
}

function tlsFor(credentials: Credentials | undefined) {
  return tlsClientOptions({
    caPem: authority.certificatePem,
    trustDomain,
    serverType: 'node',
    serverId: 'node-1',
    ...(credentials === undefined ? {} : { credentials }),
  })
}

async function get(path: string, credentials?: Credentials): Promise<[number, string]> {
  const [host, port] = address.split(':')
  const options: RequestOptions = { host, port, path, agent: false, ...tlsFor(credentials) }
  const call = httpsRequest(options)
  call.end()
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  return [response.statusCode!, await text(response)]
}

describe('AgentService on an address of its own', () => {
  withListener()

  for (const kind of ['connect', 'grpc'] as const) {
    it(`answers operators and controllers over ${kind}`, async () => {
      const controller = await issueFor(authority, { type: 'controller', id: 'coordinator-1' })
      for (const credentials of [operator, controller]) {
        const client = createClient(AgentService, transportOf(kind, credentials))
        assert.equal((await client.reportResources({})).capacity?.cpuMillicores, 7)
      }
    })

    it(`refuses everybody else over ${kind}, and calls nothing`, async () => {
      const other = await openTestCa(join(directory, 'foreign-ca'))
      const past = { ...systemClock, wallMs: () => systemClock.wallMs() - 7_200_000 }
      const before_ = await openTestCa(join(directory, 'ca'), past)
      const rows = [
        ['no certificate', undefined, 'unauthenticated'],
        ['another CA', await issueFor(other, { type: 'operator', id: 'eve' }), 'unauthenticated'],
        [
          'an expired one',
          await issueFor(before_, { type: 'operator', id: 'anna' }),
          'unauthenticated',
        ],
        ['a node', await issueFor(authority, { type: 'node', id: 'node-2' }), 'permission_denied'],
        [
          'a workload',
          await issueFor(authority, { type: 'workload', id: 'w' }),
          'permission_denied',
        ],
      ] as const
      for (const [who, credentials, code] of rows) {
        const client = createClient(AgentService, transportOf(kind, credentials))
        const reason: unknown = await client.reportResources({}).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        assert.equal(fromConnectError(reason).code, code, who)
      }
      assert.equal(called, 0)
    })
  }

  it('says health to everybody, and figures only to those who may ask', async () => {
    assert.equal((await get('/healthz'))[0], 200)
    const [status, body] = await get('/readyz')
    assert.deepEqual([status, JSON.parse(body)], [503, { status: 'no session with a coordinator' }])
    assert.equal((await get('/metrics'))[0], 401)
    const node = await issueFor(authority, { type: 'node', id: 'node-2' })
    assert.equal((await get('/metrics', node))[0], 403)
    assert.deepEqual(await get('/metrics', operator), [200, 'figures 1\n'])
    assert.equal((await get('/nothing', operator))[0], 404)
    assert.equal((await get('/cloudless.api.v1.CoordinatorService/Session', operator))[0], 403)
  })

  it('shows a renewed certificate to the next connection', async () => {
    const former = shown
    shown = await nodeCredentials()
    const [host, port] = address.split(':')
    const call = httpsRequest({ host, port, path: '/healthz', agent: false, ...tlsFor(undefined) })
    call.end()
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    const { serialNumber } = (
      response.socket as unknown as { getPeerCertificate(): { serialNumber: string } }
    ).getPeerCertificate()
    await text(response)
    assert.equal(serialNumber.toLowerCase(), shown.serial)
    assert.notEqual(serialNumber.toLowerCase(), former.serial)
  })

  it('says it when its address is taken', async () => {
    const other = createServer()
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const taken = listenDirectly(
      {
        clock: systemClock,
        credentials: () => shown,
        handler: () => {},
        endpoints: { notReady: () => undefined, metrics: () => assert.fail() },
      },
      { address: `127.0.0.1:${port}`, trustDomain },
    )
    await assert.rejects(taken, { code: 'failed_precondition', message: /taken/ })
    other.close()
  })
})
