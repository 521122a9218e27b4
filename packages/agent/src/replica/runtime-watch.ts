/**
 * Follows the container runtime: what it has at the start and whenever it was away, and what ends meanwhile. Looks now
 * and then as well, should an event have been missed.
 */
import { CloudlessError, every, type Clock } from '@cloudless/base'
import type { ContainerExit, ContainerInfo, Runtime, RuntimeEvent } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'

export interface RuntimeWatchDeps {
  readonly clock: Clock
  readonly runtime: Pick<Runtime, 'list' | 'events'>
  readonly logger: AgentLogger
}

export type ContainersById = ReadonlyMap<string, ContainerInfo>

export interface RuntimeWatchListener {
  /** All there are; called whenever it answers. */
  onContainers(present: ContainersById): void
  onExit(exit: ContainerExit): void
}

const recheckMs = 60_000
/** While it has never answered. */
const firstContactMs = 2_000

export class RuntimeWatch {
  readonly #deps: RuntimeWatchDeps
  readonly #listener: RuntimeWatchListener
  readonly #abort = new AbortController()
  #ready = false
  #answered = false
  #events: Promise<void> | undefined
  #stopChecking: () => void = () => {}

  constructor(deps: RuntimeWatchDeps, listener: RuntimeWatchListener) {
    this.#deps = deps
    this.#listener = listener
  }

  /** Whether it answered when last asked. */
  get ready(): boolean {
    return this.#ready
  }

  /** Looks once before it resolves; an answer is not waited for longer than the runtime's own deadline. */
  async start(): Promise<void> {
    await this.#look()
    this.#events = this.#follow()
    this.#check()
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#stopChecking()
    await this.#events
  }

  async #look(): Promise<void> {
    let containers: readonly ContainerInfo[]
    try {
      containers = await this.#deps.runtime.list()
    } catch (reason) {
      this.#ready = false
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.warn({ code }, `the container runtime does not answer: ${message}`)
      return
    }
    this.#ready = true
    this.#answered = true
    const present = new Map(containers.map((container) => [container.containerId, container]))
    this.#listener.onContainers(present)
  }

  #check(): void {
    this.#stopChecking()
    const periodMs = this.#answered ? recheckMs : firstContactMs
    const look = async (): Promise<void> => {
      await this.#look()
      const nowAnswers = this.#answered && periodMs !== recheckMs
      if (nowAnswers && !this.#abort.signal.aborted) this.#check()
    }
    this.#stopChecking = every(this.#deps.clock, periodMs, () => void look())
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    try {
      for await (const event of this.#deps.runtime.events(signal)) await this.#onEvent(event)
    } catch (reason) {
      if (signal.aborted) return
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.error({ code }, `the runtime's events have ended: ${message}`)
    }
  }

  async #onEvent(event: RuntimeEvent): Promise<void> {
    switch (event.kind) {
      case 'exit':
        return this.#listener.onExit(event.exit)
      case 'unavailable':
        this.#ready = false
        return this.#deps.logger.warn({}, `the container runtime is away: ${event.message}`)
      case 'reconnected':
        return this.#look()
      case 'images': // No container's affair.
    }
  }
}
