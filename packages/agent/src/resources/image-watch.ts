/**
 * The images on this node, followed: listed at the start, soon after the runtime says that they have changed, and seldom
 * besides, should that have been missed.
 */
import { equals } from '@bufbuild/protobuf'
import { NodeImagesSchema, type NodeImages } from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import type { Runtime } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'
import { nodeImagesOf } from './node-images.ts'

export interface ImageWatchDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  readonly runtime: Pick<Runtime, 'images' | 'foreignImages' | 'events'>
}

/** Pulls come in swarms. */
const settleMs = 500
/** Foreign images are forgotten with time, which nobody says. */
const recheckMs = 300_000
/** After the runtime did not answer; its return is told as well. */
const retryMs = 30_000

export class ImageWatch {
  readonly #deps: ImageWatchDeps
  readonly #abort = new AbortController()
  #current: NodeImages | undefined
  #cancel: () => void = () => {}
  #isDue = false
  #isLooking = false

  constructor(deps: ImageWatchDeps) {
    this.#deps = deps
  }

  /** Undefined before the first listing; another object only when something has changed. */
  get current(): NodeImages | undefined {
    return this.#current
  }

  /** Lists them, but does not wait for that. */
  start(): void {
    if (this.#abort.signal.aborted) return
    void this.#follow()
    void this.#look()
  }

  close(): void {
    this.#abort.abort()
    this.#cancel()
  }

  async #look(): Promise<void> {
    this.#isDue = false
    this.#isLooking = true
    let nextMs = recheckMs
    try {
      const { runtime } = this.#deps
      const found = nodeImagesOf(await runtime.images(), runtime.foreignImages())
      const before = this.#current
      if (before === undefined || !equals(NodeImagesSchema, before, found)) this.#current = found
    } catch (reason) {
      // The supervisor says that the runtime is away.
      this.#deps.logger.debug({ code: CloudlessError.from(reason).code }, 'cannot list the images')
      nextMs = retryMs
    }
    this.#isLooking = false
    this.#lookIn(this.#isDue ? settleMs : nextMs)
  }

  #lookIn(delayMs: number): void {
    this.#cancel()
    if (this.#abort.signal.aborted) return
    this.#cancel = this.#deps.clock.after(delayMs, () => void this.#look())
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    try {
      for await (const { kind } of this.#deps.runtime.events(signal)) {
        if (kind === 'images' || kind === 'reconnected') this.#changed()
      }
    } catch (reason) {
      if (signal.aborted) return
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.error({ code }, `the images are no longer followed: ${message}`)
    }
  }

  #changed(): void {
    if (this.#isDue) return
    this.#isDue = true
    if (!this.#isLooking) this.#lookIn(settleMs)
  }
}
