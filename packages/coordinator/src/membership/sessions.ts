/**
 * The agents' sessions: one stream each, over which heartbeats and reports come up and assignments go down.
 *
 * A node has one session. A newer one takes over from an older; the agent of the older is told, unless it is the same
 * agent dialling again after its link broke. Newer is what was said later, not what arrives later: a link that was cut may
 * deliver the first words of an agent that was killed meanwhile after those of the one that runs now.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  DialBackSchema,
  EvictedSchema,
  HeartbeatAckSchema,
  WelcomeSchema,
  type AgentMessage,
  type CoordinatorMessage,
  type Hello,
  type HeartbeatRequest,
  type NodeRecord,
  type Welcome,
} from '@cloudless/api'
import { CloudlessError, within, type Clock } from '@cloudless/base'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'
import type { LiveNodes } from './live-nodes.ts'
import type { Load } from './loop-load.ts'
import type { ObservationWriter } from './observation-writer.ts'
import { SessionOutbox } from './session-outbox.ts'

export interface SessionsDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly liveNodes: LiveNodes
  readonly observations: ObservationWriter
  /** Of this process. */
  readonly load: Load
  /** Stores what a hello says of the node and settles its replicas; resolves with the record as stored. */
  readonly welcome: (nodeId: string, hello: Hello) => Promise<NodeRecord>
  /** A node's capabilities, capacity or addresses changed while connected. */
  readonly onHeartbeat: (nodeId: string, heartbeat: HeartbeatRequest) => void
}

export interface SessionsOptions {
  /** "host:port" of all coordinators, told to agents. */
  readonly coordinators: () => readonly string[]
}

interface OpenSession {
  readonly nodeId: string
  readonly instanceId: string
  readonly bootId: string
  readonly outbox: SessionOutbox
  /** Ended by a goodbye, an eviction or a successor: not a sign of trouble. */
  orderly: boolean
}

const helloMsMax = 10_000
/** A node is told of its assignments this seldom while this process has all it can do. */
const holdMsWhenBusy = 3_000

export class Sessions {
  readonly #deps: SessionsDeps
  readonly #options: SessionsOptions
  readonly #open = new Map<string, OpenSession>()
  /** When each member's newest hello was said, by the clock of its boot. */
  readonly #newest = new Map<string, Pick<Hello, 'bootId' | 'sinceBootMs'>>()
  readonly #stopListening: () => void
  #closed = false

  constructor(deps: SessionsDeps, options: SessionsOptions) {
    this.#deps = deps
    this.#options = options
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
  }

  has(nodeId: string): boolean {
    return this.#open.has(nodeId)
  }

  get size(): number {
    return this.#open.size
  }

  /** Asks the agent to dial a connection on which it serves; false when it has no session. */
  requestDialBack(nodeId: string, connectionId: string): boolean {
    const session = this.#open.get(nodeId)
    if (!session) return false
    const value = create(DialBackSchema, { connectionId })
    session.outbox.send({ case: 'dialBack', value })
    return true
  }

  /** Tells the agent that it is out, and ends its session. */
  evict(nodeId: string, reason: 'removed', message: string): void {
    const session = this.#open.get(nodeId)
    if (!session) return
    this.#dismiss(session, { reason, message })
  }

  #dismiss(session: OpenSession, why: MessageInitShape<typeof EvictedSchema>): void {
    session.outbox.send({ case: 'evicted', value: create(EvictedSchema, why) })
    this.#replace(session)
  }

  #replace(session: OpenSession): void {
    session.orderly = true
    session.outbox.close()
    this.#open.delete(session.nodeId)
  }

  /** Serves one stream. `nodeId` is the certificate's. */
  async *serve(
    nodeId: string,
    incoming: AsyncIterable<AgentMessage>,
    signal: AbortSignal,
  ): AsyncIterable<CoordinatorMessage> {
    if (this.#closed) throw new CloudlessError('unavailable', 'the coordinator is shutting down')
    const reader = incoming[Symbol.asyncIterator]()
    const hello = await this.#readHello(nodeId, reader)
    this.#requireNewest(nodeId, hello)
    // Heard before anything is stored: a slow disk must not make a node look dead.
    this.#deps.liveNodes.connected(nodeId, hello)
    const session = this.#begin(nodeId, hello)
    try {
      const node = await this.#deps.welcome(nodeId, hello)
      session.outbox.send({ case: 'welcome', value: this.#welcomeMessage(node) })
      // Ends with the stream; what it throws ends the stream.
      void this.#read(session, reader).then(
        () => session.outbox.close(),
        (reason: unknown) => session.outbox.close(CloudlessError.from(reason)),
      )
      yield* session.outbox.messages(signal)
    } finally {
      session.outbox.close()
      this.#end(session)
    }
  }

  /** Ends every session: their agents dial again, here or at another coordinator. */
  close(): void {
    this.#closed = true
    this.#stopListening()
    for (const session of this.#open.values()) {
      session.orderly = true
      session.outbox.close(new CloudlessError('unavailable', 'the coordinator is shutting down'))
    }
    this.#open.clear()
  }

  #welcomeMessage(node: NodeRecord): Welcome {
    const asked = this.#deps.liveNodes.ask(node.node!.id)
    return create(WelcomeSchema, {
      node: node.node!,
      heartbeatIntervalMs: BigInt(asked.heartbeatIntervalMs),
      silenceLimitMs: BigInt(asked.silenceLimitMs),
      wallTimeMs: BigInt(this.#deps.clock.wallMs()),
      coordinators: [...this.#options.coordinators()],
    })
  }

  async #readHello(nodeId: string, reader: AsyncIterator<AgentMessage>): Promise<Hello> {
    const first = await within(
      this.#deps.clock,
      helloMsMax,
      reader.next(),
      () => new CloudlessError('deadline_exceeded', `no hello came within ${helloMsMax} ms`),
    )
    const message = first.done ? undefined : first.value.message
    if (message?.case !== 'hello') {
      throw new CloudlessError('invalid_argument', 'the first message of a session must be hello')
    }
    if (message.value.nodeId !== nodeId) {
      throw new CloudlessError(
        'permission_denied',
        `the certificate is ${nodeId}'s, but hello says ${message.value.nodeId}`,
      )
    }
    return message.value
  }

  /** What it says of replicas is no longer so, and whoever said it is gone. */
  #requireNewest(nodeId: string, { bootId, sinceBootMs }: Hello): void {
    const newest = this.#newest.get(nodeId)
    if (newest?.bootId === bootId && sinceBootMs < newest.sinceBootMs) {
      throw new CloudlessError(
        'failed_precondition',
        `this hello of ${nodeId} was said ${newest.sinceBootMs - sinceBootMs} ms before another that is known already`,
      )
    }
    this.#newest.set(nodeId, { bootId, sinceBootMs })
  }

  #begin(nodeId: string, hello: Hello): OpenSession {
    const former = this.#open.get(nodeId)
    if (former?.instanceId === hello.instanceId) this.#replace(former)
    else if (former) {
      const elsewhere = former.bootId !== hello.bootId
      const where = elsewhere ? ' from another machine' : ''
      const message = `another agent with the same certificate has connected${where}`
      this.#dismiss(former, { reason: 'superseded', message, elsewhere })
    }
    const state = this.#deps.state
    const outbox = new SessionOutbox({
      nodeId,
      replica: (replicaId) => state.get('replica', replicaId),
      replicasOnNode: () => state.replicasOnNode(nodeId).map((held) => held.record),
      clock: this.#deps.clock,
      holdMs: () => (this.#deps.load.isHigh ? holdMsWhenBusy : 0),
    })
    const { instanceId, bootId } = hello
    const session = { nodeId, instanceId, bootId, outbox, orderly: false }
    this.#open.set(nodeId, session)
    return session
  }

  async #read(session: OpenSession, reader: AsyncIterator<AgentMessage>): Promise<void> {
    const { nodeId } = session
    for (let next = await reader.next(); !next.done; next = await reader.next()) {
      const { message } = next.value
      if (this.#open.get(nodeId) !== session) return
      this.#requireNotLost(nodeId)
      switch (message.case) {
        case 'heartbeat':
          this.#deps.liveNodes.heartbeat(nodeId, message.value)
          this.#deps.onHeartbeat(nodeId, message.value)
          this.#acknowledge(session, message.value)
          break
        case 'replicas':
          this.#deps.liveNodes.heard(nodeId)
          this.#deps.observations.report(nodeId, message.value.replicas)
          break
        case 'goodbye':
          session.orderly = true
          this.#deps.liveNodes.goodbye(nodeId, Number(message.value.expectedBackMs))
          return
        default:
          this.#deps.liveNodes.heard(nodeId)
      }
    }
  }

  /** It was silent, its replicas are fenced and being replaced: only a new hello settles what it still has. */
  #requireNotLost(nodeId: string): void {
    if (this.#deps.liveNodes.get(nodeId)?.liveness.kind !== 'lost') return
    throw new CloudlessError(
      'unavailable',
      `${nodeId} was silent for too long and given up as lost: dial again`,
    )
  }

  #acknowledge(session: OpenSession, heartbeat: HeartbeatRequest): void {
    const asked = this.#deps.liveNodes.ask(session.nodeId)
    const value = create(HeartbeatAckSchema, {
      heartbeatIntervalMs: BigInt(asked.heartbeatIntervalMs),
      silenceLimitMs: BigInt(asked.silenceLimitMs),
      wallTimeMs: BigInt(this.#deps.clock.wallMs()),
      sequence: heartbeat.sequence,
    })
    session.outbox.send({ case: 'heartbeatAck', value })
  }

  #end(session: OpenSession): void {
    if (this.#open.get(session.nodeId) !== session) return
    this.#open.delete(session.nodeId)
    if (!session.orderly) this.#deps.liveNodes.reset(session.nodeId)
  }

  #tellOfCoordinators(): void {
    for (const { nodeId, outbox } of this.#open.values()) {
      const node = this.#deps.state.get('node', nodeId)
      if (node) outbox.send({ case: 'welcome', value: this.#welcomeMessage(node) })
    }
  }

  #onChanges(changes: readonly RecordChange[]): void {
    if (changes.some(({ kind }) => kind === 'coordinator')) this.#tellOfCoordinators()
    for (const change of changes) {
      if (change.kind === 'node' && change.after === undefined) this.#newest.delete(change.id)
      if (change.kind !== 'replica') continue
      const { before, after } = change as RecordChange<'replica'>
      const nodeIds = new Set([before?.status!.nodeId, after?.status!.nodeId])
      for (const nodeId of nodeIds) {
        if (nodeId) this.#open.get(nodeId)?.outbox.touch(change.id)
      }
    }
  }
}
