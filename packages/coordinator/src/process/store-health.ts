/**
 * Whether the metadata store takes writes. Learnt from the writes there are; after one that failed, a small one is tried
 * now and then, so that a coordinator whose disk has room again is ready again though nobody asks it for anything.
 */
import { CloudlessError, type Clock } from '@cloudless/base'
import type { MetadataStore } from '@cloudless/metadata'
import type { Readiness } from '../server/http-paths.ts'

export interface StoreHealthDeps {
  readonly clock: Clock
  readonly store: Pick<MetadataStore, 'transact'>
}

const probeKey = 'health/write-probe'
const probePeriodMs = 1_000

export class StoreHealth {
  readonly #deps: StoreHealthDeps
  #failure: CloudlessError | undefined
  #cancelProbe: (() => void) | undefined
  #closed = false

  constructor(deps: StoreHealthDeps) {
    this.#deps = deps
  }

  get readiness(): Readiness {
    if (this.#failure === undefined) return { ready: true }
    const reason = `the metadata store takes no writes: ${this.#failure.message}`
    return { ready: false, reason }
  }

  /** After every transaction of the store: undefined when it was taken. */
  note(failure: CloudlessError | undefined): void {
    this.#failure = failure
    if (failure === undefined || this.#closed) return
    this.#cancelProbe ??= this.#deps.clock.after(probePeriodMs, () => {
      this.#cancelProbe = undefined
      void this.#probe()
    })
  }

  close(): void {
    this.#closed = true
    this.#cancelProbe?.()
  }

  async #probe(): Promise<void> {
    try {
      const value = Buffer.from(String(this.#deps.clock.wallMs()))
      await this.#deps.store.transact({ writes: [{ kind: 'put', key: probeKey, value }] })
      this.note(undefined)
    } catch (reason) {
      this.note(CloudlessError.from(reason))
    }
  }
}
