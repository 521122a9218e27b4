/** A coordinator for tests: real TLS sockets and certificates, and a session that a test speaks for. */
import { createServer } from 'node:http2'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { AddressInfo, Socket } from 'node:net'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  AgentService,
  CoordinatorMessageSchema,
  CoordinatorService,
  toConnectError,
  type AgentMessage,
  type CoordinatorMessage,
  type EnrollNodeRequest,
} from '@cloudless/api'
import { CloudlessError, systemClock, systemRandom } from '@cloudless/base'
import {
  createCsr,
  createKey,
  openCertificateAuthority,
  signJoinToken,
  type CertificateAuthority,
} from '@cloudless/identity'
import { createClient, type Client } from '@connectrpc/connect'
import { connectNodeAdapter, createConnectTransport } from '@connectrpc/connect-node'
import { OutgoingQueue } from '../membership/outgoing-queue.ts'

const trustDomain = 'cloudless'
const tokenKey = new Uint8Array(32).fill(7)
type Reply = MessageInitShape<typeof CoordinatorMessageSchema>['message']

/** One session as the coordinator sees it. */
export class FakeSession {
  readonly received: AgentMessage[] = []
  readonly outgoing = new OutgoingQueue<CoordinatorMessage>()
  ended = false

  send(message: Reply): void {
    this.outgoing.push(create(CoordinatorMessageSchema, message === undefined ? {} : { message }))
  }

  /** What was received of one kind. */
  of<C extends Kind>(kind: C): ValueOf<C>[] {
    return this.received.flatMap(({ message }) =>
      message.case === kind ? [message.value as ValueOf<C>] : [],
    )
  }
}

type Kind = 'hello' | 'heartbeat' | 'replicas' | 'goodbye' | 'applied'
type ValueOf<C extends Kind> = Extract<AgentMessage['message'], { case: C }>['value']

export class FakeCoordinator {
  readonly authority: CertificateAuthority
  readonly sessions: FakeSession[] = []
  readonly enrolments: EnrollNodeRequest[] = []
  readonly reversed: TLSSocket[] = []
  readonly renewals: string[] = []
  certificateLifetimeMs = 3_600_000
  heartbeatIntervalMs = 50
  /** Of this machine's clock. */
  clockAheadMs = 0
  /** Silent sessions acknowledge nothing. */
  silent = false
  /** The welcome waits for it. */
  beforeWelcome: Promise<unknown> | undefined
  refuse: CloudlessError | undefined
  /** Answers enrolments but drops the connection before the answer, this many times. */
  loseAnswers = 0
  onSession: (session: FakeSession) => void = (session) => {
    session.send({ case: 'assignments', value: { full: true, version: 1n } })
  }
  readonly #answers = new Map<string, { certificate: string; nodeId: string }>()
  readonly #sockets = new Set<Socket>()
  #listener: ReturnType<typeof createTlsServer> | undefined
  #port = 0

  constructor(authority: CertificateAuthority) {
    this.authority = authority
  }

  static async open(directory: string): Promise<FakeCoordinator> {
    const deps = { clock: systemClock, random: systemRandom }
    const authority = await openCertificateAuthority(deps, { directory, trustDomain })
    const coordinator = new FakeCoordinator(authority)
    await coordinator.listen()
    return coordinator
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  token(tokenId = 'jt-aaaaaaaaaaaa'): string {
    const nowMs = systemClock.wallMs()
    return signJoinToken(tokenKey, {
      tokenId,
      caFingerprint: this.authority.fingerprint,
      maxUses: 1,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + 3_600_000,
      addresses: [this.address],
    })
  }

  /** Listens, on the port it had before if it had one. */
  async listen(): Promise<void> {
    const keyPem = await createKey()
    const spiffeId = { trustDomain, type: 'controller', id: 'coordinator-1' } as const
    const issued = await this.authority.issue({
      csrPem: await createCsr(keyPem),
      spiffeId,
      dnsNames: ['coordinator.cloudless'],
      ipAddresses: [],
      lifetimeMs: 3_600_000,
      backdateMs: 60_000,
    })
    const http2 = createServer(
      {},
      connectNodeAdapter({
        routes: (router) => {
          router.service(CoordinatorService, {
            enrollNode: (request) => this.#enrol(request),
            renewCertificate: ({ csrPem }) => this.#renew(csrPem),
            session: (messages) => this.#session(messages),
          })
        },
      }),
    )
    this.#listener = createTlsServer(
      {
        key: keyPem,
        cert: issued.certificatePem + this.authority.certificatePem,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
        ALPNProtocols: ['h2', 'cloudless-agent'],
      },
      (socket) => {
        this.#sockets.add(socket)
        socket.on('error', () => {}) // The other side may be killed.
        if (socket.alpnProtocol === 'cloudless-agent') this.reversed.push(socket)
        else http2.emit('connection', socket)
      },
    )
    this.#listener.on('tlsClientError', () => {})
    await new Promise<void>((resolve) =>
      this.#listener!.listen(this.#port, '127.0.0.1', () => resolve()),
    )
    this.#port = (this.#listener.address() as AddressInfo).port
  }

  /** As kill -9: every connection is cut. */
  async close(): Promise<void> {
    for (const session of this.sessions) session.outgoing.end()
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
    await new Promise<void>((resolve) => this.#listener?.close(() => resolve()))
  }

  /** Calls the agent over the newest connection it dialled. */
  agent(): { client: Client<typeof AgentService>; socket: TLSSocket } {
    const socket = this.reversed.at(-1)!
    const transport = createConnectTransport({
      httpVersion: '2',
      baseUrl: 'http://agent',
      nodeOptions: { createConnection: () => socket },
    })
    return { client: createClient(AgentService, transport), socket }
  }

  async #enrol(request: EnrollNodeRequest) {
    this.enrolments.push(request)
    if (this.refuse !== undefined) throw toConnectError(this.refuse)
    let answer = this.#answers.get(request.idempotencyKey)
    if (answer === undefined) {
      const nodeId = `node-${String(this.#answers.size).padStart(12, '0')}`
      answer = { nodeId, certificate: await this.#issue(request.csrPem, nodeId) }
      this.#answers.set(request.idempotencyKey, answer)
    }
    if (this.loseAnswers-- > 0) throw toConnectError(new CloudlessError('unavailable', 'lost'))
    const { nodeId, certificate } = answer
    const node = { id: nodeId, name: request.nodeName, podCidr: '10.244.7.0/24' }
    return { nodeId, certificate, caCertificate: this.authority.certificatePem, node }
  }

  async #renew(csrPem: string) {
    this.renewals.push(csrPem)
    const certificate = await this.#issue(csrPem, 'node-000000000000')
    return { certificate, caCertificate: this.authority.certificatePem }
  }

  async #issue(csrPem: string, nodeId: string): Promise<string> {
    const issued = await this.authority.issue({
      csrPem,
      spiffeId: { trustDomain, type: 'node', id: nodeId },
      dnsNames: [],
      ipAddresses: [],
      lifetimeMs: this.certificateLifetimeMs,
      backdateMs: 0,
    })
    return issued.certificatePem
  }

  async *#session(messages: AsyncIterable<AgentMessage>): AsyncIterable<CoordinatorMessage> {
    if (this.refuse !== undefined) throw toConnectError(this.refuse)
    const session = new FakeSession()
    this.sessions.push(session)
    void this.#read(session, messages)
    yield* session.outgoing.drain()
  }

  async #read(session: FakeSession, messages: AsyncIterable<AgentMessage>): Promise<void> {
    try {
      for await (const message of messages) {
        session.received.push(message)
        const { message: inner } = message
        const times = {
          heartbeatIntervalMs: BigInt(this.heartbeatIntervalMs),
          wallTimeMs: BigInt(Math.round(systemClock.wallMs() + this.clockAheadMs)),
        }
        if (inner.case === 'hello') {
          await this.beforeWelcome
          const node = { id: inner.value.nodeId, name: 'n1', podCidr: '10.244.7.0/24' }
          session.send({ case: 'welcome', value: { ...times, node } })
          this.onSession(session)
        } else if (inner.case === 'heartbeat' && !this.silent) {
          const value = { ...times, sequence: inner.value.sequence }
          session.send({ case: 'heartbeatAck', value })
        }
      }
    } catch {
      // The agent's connection was cut: a test's doing.
    }
    session.ended = true
    session.outgoing.end()
  }
}
