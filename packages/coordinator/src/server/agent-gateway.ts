/**
 * The coordinator's way to an agent: a connection that the agent has dialled and serves.
 *
 *     nothing ──a call wants it──▶ asked (through the session) ──the agent dials──▶ connected ──closed──▶ nothing
 *                                        │
 *                                        └── no answer in time: every waiting call fails with `unavailable`
 *
 * At most one connection per node is kept; a newer one takes its place. The agent closes it when it has been idle.
 */
import type { TLSSocket } from 'node:tls'
import { AgentService } from '@cloudless/api'
import { CloudlessError, randomId, type Clock, type Random } from '@cloudless/base'
import { createClient, type Client } from '@connectrpc/connect'
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node'

export type AgentClient = Client<typeof AgentService>

export interface AgentGatewayDeps {
  readonly clock: Clock
  readonly random: Random
  /** Asks a node, through its session, to dial back; false when it has no session. */
  readonly requestDialBack: (nodeId: string, connectionId: string) => boolean
}

export interface AgentGatewayOptions {
  /** How long a node may take to dial back; 5,000 when not given. */
  readonly dialBackMs?: number
}

interface AgentConnection {
  readonly client: AgentClient
  readonly socket: TLSSocket
  readonly sessions: Http2SessionManager
}

interface Waiter {
  readonly arrived: (client: AgentClient) => void
  readonly failed: (reason: CloudlessError) => void
}

const dialBackMsDefault = 5_000
/** While calls run on it, a connection that does not answer this long after a ping is dead. */
const pingIntervalMs = 10_000
const pingTimeoutMs = 5_000
const baseUrl = 'http://agent.cloudless'

export class AgentGateway {
  readonly #deps: AgentGatewayDeps
  readonly #dialBackMs: number
  readonly #connections = new Map<string, AgentConnection>()
  readonly #waiting = new Map<string, Set<Waiter>>()

  constructor(deps: AgentGatewayDeps, options: AgentGatewayOptions = {}) {
    this.#deps = deps
    this.#dialBackMs = options.dialBackMs ?? dialBackMsDefault
  }

  /** `unavailable` when the node is not connected or does not dial back in time; `cancelled` by the signal. */
  async clientFor(nodeId: string, signal?: AbortSignal): Promise<AgentClient> {
    const open = this.#connections.get(nodeId)
    if (open !== undefined && !open.socket.destroyed) return open.client
    if (signal?.aborted) throw cancelled(nodeId)
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(nodeId) ?? new Set<Waiter>()
      const isFirst = waiters.size === 0
      const settle = (act: () => void): void => {
        cancelTimer()
        signal?.removeEventListener('abort', onAbort)
        waiters.delete(waiter)
        if (waiters.size === 0) this.#waiting.delete(nodeId)
        act()
      }
      const waiter: Waiter = {
        arrived: (client) => settle(() => resolve(client)),
        failed: (reason) => settle(() => reject(reason)),
      }
      const onAbort = (): void => waiter.failed(cancelled(nodeId))
      const cancelTimer = this.#deps.clock.after(this.#dialBackMs, () =>
        waiter.failed(unavailable(nodeId, `did not dial back within ${this.#dialBackMs} ms`)),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      waiters.add(waiter)
      this.#waiting.set(nodeId, waiters)
      if (isFirst && !this.#deps.requestDialBack(nodeId, randomId(this.#deps.random, 12))) {
        waiter.failed(unavailable(nodeId, 'is not connected'))
      }
    })
  }

  /** An agent has dialled back; its identity has been checked. The socket is the gateway's from now on. */
  accept(nodeId: string, socket: TLSSocket): void {
    const sessions = new Http2SessionManager(
      baseUrl,
      { pingIntervalMs, pingTimeoutMs },
      { createConnection: () => socket },
    )
    const client = createClient(
      AgentService,
      createConnectTransport({ httpVersion: '2', baseUrl, sessionManager: sessions }),
    )
    const connection: AgentConnection = { client, socket, sessions }
    this.#connections.get(nodeId)?.socket.destroySoon()
    this.#connections.set(nodeId, connection)
    socket.once('close', () => {
      if (this.#connections.get(nodeId) === connection) this.#connections.delete(nodeId)
    })
    for (const waiter of this.#waiting.get(nodeId) ?? []) waiter.arrived(client)
  }

  /** The node's session has ended for good: waiting calls fail now and the connection is cut. */
  disconnect(nodeId: string): void {
    this.#connections.get(nodeId)?.socket.destroy()
    for (const waiter of this.#waiting.get(nodeId) ?? []) {
      waiter.failed(unavailable(nodeId, 'has disconnected'))
    }
  }

  /** Nodes with an open reversed connection. */
  get connectionCount(): number {
    return this.#connections.size
  }

  /** Cuts every connection; waiting calls fail. */
  close(): void {
    for (const nodeId of new Set([...this.#connections.keys(), ...this.#waiting.keys()])) {
      this.disconnect(nodeId)
    }
  }
}

function unavailable(nodeId: string, what: string): CloudlessError {
  return new CloudlessError(
    'unavailable',
    `the node "${nodeId}" ${what}: its agent is down or cannot reach the coordinator`,
    { details: { nodeId } },
  )
}

function cancelled(nodeId: string): CloudlessError {
  return new CloudlessError('cancelled', `the call to the node "${nodeId}" was given up`)
}
