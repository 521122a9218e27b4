/** For the tests of the API server: one that runs on a free port, and clients of every kind. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { AgentService, CoordinatorService } from '@cloudless/api'
import { NetworkService, SecretsService, StorageService } from '@cloudless/api/services'
import { systemClock, systemRandom, type Clock } from '@cloudless/base'
import {
  createCsr,
  createKey,
  openCertificateAuthority,
  tlsClientOptions,
  type CertificateAuthority,
  type Credentials,
  type IdentityType,
} from '@cloudless/identity'
import type { ServiceImpl, Transport } from '@connectrpc/connect'
import { connectNodeAdapter, createConnectTransport } from '@connectrpc/connect-node'
import { createAgentForwarding } from './agent-forwarding.ts'
import { AgentGateway } from './agent-gateway.ts'
import { startApiServer, type ApiServer, type ApiServerDeps } from './api-server.ts'
import type { CallFacts, CallOutcome } from './call-observer.ts'
import { serve } from './rpc-handler.ts'
import { agentAlpn } from './tls-listener.ts'

export const day = 86_400_000

export async function openTestCa(t: TestContext): Promise<CertificateAuthority> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-server-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return openCertificateAuthority(
    { clock: systemClock },
    { directory: join(directory, 'ca'), trustDomain: 'cloudless' },
  )
}

export async function credentialsFor(
  ca: CertificateAuthority,
  type: IdentityType,
  id: string,
  lifetimeMs = day,
): Promise<Credentials> {
  const keyPem = await createKey()
  const { certificatePem } = await ca.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: { trustDomain: ca.trustDomain, type, id },
    lifetimeMs,
  })
  return { keyPem, certificatePem, caPem: ca.certificatePem }
}

/** A certificate that has run out already: issued by the same CA with its clock set back. */
export async function expiredCredentialsFor(
  ca: CertificateAuthority,
  directory: string,
  type: IdentityType,
  id: string,
): Promise<Credentials> {
  const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() - day / 2 }
  const past = await openCertificateAuthority({ clock }, { directory, trustDomain: 'cloudless' })
  return credentialsFor({ ...past, certificatePem: ca.certificatePem }, type, id, 60_000)
}

export interface TestServer {
  readonly server: ApiServer
  readonly ca: CertificateAuthority
  readonly gateway: AgentGateway
  readonly port: number
  readonly ended: { readonly facts: CallFacts; readonly outcome: CallOutcome }[]
  readonly problems: string[]
  readonly removed: Set<string>
  readonly dialBacks: { nodeId: string; connectionId: string }[]
}

export interface TestServerOptions {
  readonly ca?: CertificateAuthority
  readonly coordinator?: Partial<ServiceImpl<typeof CoordinatorService>>
  readonly deps?: Partial<ApiServerDeps>
  readonly options?: Partial<Parameters<typeof startApiServer>[1]>
  /** Answers a request to dial back; by default nobody is connected. */
  readonly requestDialBack?: (nodeId: string, connectionId: string) => boolean
  readonly dialBackMs?: number
}

export async function startTestServer(
  t: TestContext,
  given: TestServerOptions = {},
): Promise<TestServer> {
  const ca = given.ca ?? (await openTestCa(t))
  const dialBacks: TestServer['dialBacks'] = []
  const gateway = new AgentGateway(
    {
      clock: systemClock,
      random: systemRandom,
      requestDialBack: (nodeId, connectionId) => {
        dialBacks.push({ nodeId, connectionId })
        return given.requestDialBack?.(nodeId, connectionId) ?? false
      },
    },
    given.dialBackMs === undefined ? {} : { dialBackMs: given.dialBackMs },
  )
  const ended: TestServer['ended'] = []
  const problems: string[] = []
  const removed = new Set<string>()
  const server = await startApiServer(
    {
      clock: systemClock,
      random: systemRandom,
      ca,
      gateway,
      observer: {
        callEnded: (facts, outcome) => ended.push({ facts, outcome }),
        problem: (message) => problems.push(message),
      },
      readiness: () => ({ ready: true }),
      isRemoved: (nodeId) => removed.has(nodeId),
      services: [
        serve(CoordinatorService, given.coordinator ?? {}),
        createAgentForwarding({
          locate: ({ nodeId, containerId }) => nodeId || containerId.split('/')[0]!,
          clientFor: (nodeId, signal) => gateway.clientFor(nodeId, signal),
        }),
        serve(NetworkService, {}),
        serve(StorageService, {}),
        serve(SecretsService, {}),
      ],
      ...given.deps,
    },
    {
      coordinatorId: 'coordinator-1',
      addresses: [{ host: '127.0.0.1', port: 0 }],
      shutdownGraceMs: 100,
      ...given.options,
    },
  )
  t.after(() => server.close())
  const { port } = server.addresses[0]!
  return { server, ca, gateway, port, ended, problems, removed, dialBacks }
}

/** A Connect transport that closes with the test. */
export function transportTo(
  t: TestContext,
  { port, ca }: Pick<TestServer, 'port' | 'ca'>,
  credentials?: Credentials,
): Transport {
  const closing = new Set<TLSSocket>()
  t.after(() => closing.forEach((socket) => socket.destroy()))
  return createConnectTransport({
    httpVersion: '2',
    baseUrl: `https://127.0.0.1:${port}`,
    nodeOptions: {
      createConnection: () => {
        const socket = connect({ ...clientOptions(ca, credentials), host: '127.0.0.1', port })
        closing.add(socket)
        return socket
      },
    },
  })
}

export function clientOptions(
  ca: CertificateAuthority,
  credentials?: Credentials,
  alpn: readonly string[] = ['h2'],
) {
  return tlsClientOptions({
    caPem: ca.certificatePem,
    trustDomain: 'cloudless',
    serverType: 'controller',
    alpnProtocols: alpn,
    ...(credentials === undefined ? {} : { credentials }),
  })
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly bytes: Buffer
}

/** One HTTP/1.1 request, as curl would make it. */
export async function fetchPath(
  { port, ca }: Pick<TestServer, 'port' | 'ca'>,
  path: string,
  given: {
    readonly credentials?: Credentials
    readonly method?: string
    readonly headers?: Record<string, string>
    readonly body?: string | Uint8Array
  } = {},
): Promise<HttpAnswer> {
  const request = httpsRequest({
    ...clientOptions(ca, given.credentials, ['http/1.1']),
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    method: given.method ?? (given.body === undefined ? 'GET' : 'POST'),
    headers: given.headers ?? {},
    signal: AbortSignal.timeout(10_000),
  })
  request.end(given.body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const bytes = Buffer.concat(await Array.fromAsync(response))
  return {
    status: response.statusCode!,
    headers: response.headers,
    text: bytes.toString(),
    bytes,
  }
}

/** An agent: dials back and serves AgentService on the connection. */
export async function dialBack(
  t: TestContext,
  { port, ca }: Pick<TestServer, 'port' | 'ca'>,
  credentials: Credentials,
  implementation: Partial<ServiceImpl<typeof AgentService>>,
): Promise<TLSSocket> {
  const http2 = createHttp2Server(
    connectNodeAdapter({ routes: (router) => router.service(AgentService, implementation) }),
  )
  const options = { ...clientOptions(ca, credentials, [agentAlpn]), host: '127.0.0.1', port }
  const socket = connect(options)
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  socket.on('error', () => undefined)
  http2.emit('connection', socket)
  return socket
}

/** Resolves when the condition holds; fails after the deadline. */
export async function until(
  what: string,
  condition: () => boolean,
  timeoutMs = 5_000,
): Promise<void> {
  const endMs = systemClock.monotonicMs() + timeoutMs
  while (!condition()) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await new Promise<void>((resolve) => systemClock.after(5, resolve))
  }
}
