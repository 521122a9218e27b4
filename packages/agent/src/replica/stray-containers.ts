/** Containers of ours without a record: removed, unless a damaged record may have been theirs. */
import { CloudlessError, type KeyedSerialQueue } from '@cloudless/base'
import type { ContainerInfo, Runtime } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'

export interface StrayContainersDeps {
  readonly runtime: Pick<Runtime, 'remove'>
  readonly logger: AgentLogger
}

export class StrayContainers {
  readonly #deps: StrayContainersDeps
  readonly #queue: KeyedSerialQueue
  readonly #containers = new Map<string, ContainerInfo>()

  /** The queue is the replicas': what is removed cannot be started at the same time. */
  constructor(deps: StrayContainersDeps, queue: KeyedSerialQueue) {
    this.#deps = deps
    this.#queue = queue
  }

  add(container: ContainerInfo): void {
    this.#containers.set(container.containerId, container)
  }

  /** It has found its assignment after all. */
  take(containerId: string): ContainerInfo | undefined {
    const container = this.#containers.get(containerId)
    this.#containers.delete(containerId)
    return container
  }

  /** A failure is only said: the next start of the agent finds it again. */
  removeAll(): void {
    const { logger, runtime } = this.#deps
    for (const containerId of this.#containers.keys()) {
      logger.warn({ containerId }, `removing ${containerId}: no assignment explains it`)
      this.#queue
        .run(containerId, () => runtime.remove(containerId))
        .catch((reason: unknown) => {
          const { code, message } = CloudlessError.from(reason)
          logger.warn({ containerId, code }, `cannot remove ${containerId}: ${message}`)
        })
    }
    this.#containers.clear()
  }
}
