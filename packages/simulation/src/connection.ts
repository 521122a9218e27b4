/**
 * One connection of an agent to the coordinator, with the one call that matters here on it: the session.
 *
 * Either side may go away in three ways: it ends its stream in order, its kernel resets the connection because the process
 * has died, or it falls silent because the machine has.
 */
import type { AgentMessage, CoordinatorMessage } from '@cloudless/api'
import type { CoordinatorConnection } from '@cloudless/agent/simulation'
import { CloudlessError } from '@cloudless/base'
import { Inbox } from './inbox.ts'
import type { Link, Pipe } from './link.ts'
import type { ProcessClock } from './process-clock.ts'

type Frame<Message> =
  | { readonly kind: 'open' }
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly error: CloudlessError }
  | { readonly kind: 'reset' }

/** The coordinator's process, as connections see it. */
export interface Server {
  readonly clock: ProcessClock
  serve(
    nodeId: string,
    incoming: AsyncIterable<AgentMessage>,
    signal: AbortSignal,
  ): AsyncIterable<CoordinatorMessage>
}

export interface ConnectionDeps {
  readonly link: Link
  readonly client: ProcessClock
  readonly nodeId: string
  /** The kernel of the machine on which the coordinator runs; it answers when no process does. */
  readonly serverMachine: () => ProcessClock
  /** Whoever listens at this moment. */
  readonly listening: () => Server | undefined
  readonly onClosed: (connection: Connection) => void
  /** Each message that arrives at its reader. */
  readonly onMessage: (nodeId: string, message: AgentMessage | CoordinatorMessage) => void
}

const address = 'coordinator:8080'

export class Connection {
  readonly #deps: ConnectionDeps
  readonly #up: Pipe<Frame<AgentMessage>>
  readonly #down: Pipe<Frame<CoordinatorMessage>>
  readonly #toServer = new Inbox<AgentMessage>()
  readonly #toClient = new Inbox<CoordinatorMessage>()
  readonly #serverAbort = new AbortController()
  readonly #waitingToSend: Frame<AgentMessage>[] = []
  #server: Server | undefined
  #established = false
  #serving = false
  #clientGone = false
  #serverGone = false

  constructor(deps: ConnectionDeps) {
    this.#deps = deps
    const serverClock = (): ProcessClock => this.#server?.clock ?? deps.serverMachine()
    this.#up = deps.link.open('up', serverClock, (frame) => this.#atServer(frame))
    this.#down = deps.link.open(
      'down',
      () => deps.client,
      (frame) => this.#atClient(frame),
    )
    this.#up.send({ kind: 'open' })
  }

  get server(): Server | undefined {
    return this.#server
  }

  /** What the agent's membership is given. */
  asClient(): CoordinatorConnection {
    const session = (
      outgoing: AsyncIterable<AgentMessage>,
      options: { readonly signal: AbortSignal },
    ): AsyncIterable<CoordinatorMessage> => this.#session(outgoing, options.signal)
    return {
      address,
      client: { session } as unknown as CoordinatorConnection['client'],
      close: () => this.#closeClient(),
    }
  }

  /** The agent's process has died and its kernel says so. */
  clientDied(): void {
    this.#closeClient()
  }

  /** The coordinator's process has died and its kernel says so. */
  serverDied(): void {
    if (this.#serverGone) return
    this.#serverGone = true
    this.#down.send({ kind: 'reset' })
    this.#closeWhenDeserted()
  }

  /** The agent's machine is off: what is on its way to it comes to nothing, and nobody is told. */
  clientVanished(): void {
    this.#clientGone = true
    this.#down.close()
    this.#closeWhenDeserted()
  }

  /** The machine is there again and knows nothing of the connection: whoever writes on it is told. */
  clientForgot(): void {
    this.#up.send({ kind: 'reset' })
  }

  #session(outgoing: AsyncIterable<AgentMessage>, signal: AbortSignal): Inbox<CoordinatorMessage> {
    const onAbort = (): void => {
      this.#toClient.fail(new CloudlessError('cancelled', 'the call was cancelled'))
      this.#closeClient()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    void this.#pump(outgoing)
    return this.#toClient
  }

  async #pump(outgoing: AsyncIterable<AgentMessage>): Promise<void> {
    for await (const message of outgoing) this.#send({ kind: 'message', message })
    this.#send({ kind: 'end' })
  }

  #send(frame: Frame<AgentMessage>): void {
    if (this.#clientGone) return
    if (this.#established) this.#up.send(frame)
    else this.#waitingToSend.push(frame)
  }

  #closeClient(): void {
    if (this.#clientGone) return
    this.#clientGone = true
    this.#toClient.fail(new CloudlessError('unavailable', 'the connection was closed'))
    // In order behind what was written before, as the kernel does it.
    this.#up.send({ kind: 'reset' })
    this.#down.close()
    this.#closeWhenDeserted()
  }

  #closeWhenDeserted(): void {
    if (!this.#clientGone || !this.#serverGone) return
    this.#up.close()
    this.#down.close()
    this.#deps.onClosed(this)
  }

  #atServer(frame: Frame<AgentMessage>): void {
    if (frame.kind === 'open') {
      this.#server = this.#deps.listening()
      this.#down.send(this.#server ? { kind: 'open' } : { kind: 'reset' })
      return
    }
    if (this.#serverGone) return
    switch (frame.kind) {
      case 'message':
        this.#deps.onMessage(this.#deps.nodeId, frame.message)
        this.#toServer.push(frame.message)
        if (!this.#serving) void this.#serve()
        return
      case 'end':
        return this.#toServer.end()
      default: {
        this.#serverGone = true
        this.#toServer.fail(new CloudlessError('cancelled', 'the stream was reset'))
        this.#serverAbort.abort()
        this.#up.close()
        this.#deps.onClosed(this)
      }
    }
  }

  async #serve(): Promise<void> {
    this.#serving = true
    const { nodeId } = this.#deps
    try {
      const answers = this.#server!.serve(nodeId, this.#toServer, this.#serverAbort.signal)
      for await (const message of answers) this.#down.send({ kind: 'message', message })
      this.#down.send({ kind: 'end' })
    } catch (reason) {
      this.#down.send({ kind: 'failed', error: CloudlessError.from(reason) })
    }
  }

  #atClient(frame: Frame<CoordinatorMessage>): void {
    if (this.#clientGone) return
    switch (frame.kind) {
      case 'open':
        this.#established = true
        for (const waiting of this.#waitingToSend.splice(0)) this.#up.send(waiting)
        return
      case 'message':
        this.#deps.onMessage(this.#deps.nodeId, frame.message)
        return this.#toClient.push(frame.message)
      case 'end':
        return this.#toClient.end()
      case 'failed':
        return this.#toClient.fail(frame.error)
      case 'reset': {
        this.#clientGone = true
        this.#toClient.fail(new CloudlessError('unavailable', 'the connection was reset'))
        this.#up.close()
        this.#down.close()
        this.#deps.onClosed(this)
      }
    }
  }
}
