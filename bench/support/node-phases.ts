/** The phases of a cluster's nodes as one who watches them learns them. */
import { NodePhase } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import type { ApiClient } from '@cloudless/test/testkit'

interface Seen {
  readonly phase: NodePhase
  readonly atMs: number
}

export class NodePhases {
  readonly #seen = new Map<string, Seen>()
  readonly #counts = new Map<NodePhase, number>()
  readonly #listeners = new Set<() => void>()
  readonly #closing = new AbortController()

  constructor(client: ApiClient) {
    const { signal } = this.#closing
    const follow = async (): Promise<void> => {
      for await (const { node } of client.watchNodes({}, { signal })) {
        if (node) this.#see(node.name, node.status!.phase)
      }
    }
    follow().catch((reason: unknown) => {
      if (!signal.aborted) console.error('the watch of nodes ended', reason)
    })
  }

  count(phase: NodePhase): number {
    return this.#counts.get(phase) ?? 0
  }

  isReady(name: string): boolean {
    return this.#seen.get(name)?.phase === NodePhase.READY
  }

  lostAmong(names: readonly string[]): number {
    return names.filter((name) => this.#seen.get(name)?.phase === NodePhase.OFFLINE).length
  }

  /** For a person: of these, those that are in another phase than this one. */
  exceptionsTo(phase: NodePhase, names: readonly string[]): string {
    const others = names.filter((name) => this.#seen.get(name)?.phase !== phase)
    const [first = ''] = others
    return `: ${others.length} of ${names.length}, such as ${first}`
  }

  /** When its phase was last seen to change, as of `systemClock.monotonicMs`. */
  changedAtMs(name: string): number {
    return this.#seen.get(name)?.atMs ?? NaN
  }

  /** Resolves once `isAsWanted`, which is asked after every change. */
  async when(
    what: string,
    deadlineMs: number,
    isAsWanted: () => boolean,
    describe: () => string = () => '',
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => void (isAsWanted() && resolve())
    const cancel = systemClock.after(deadlineMs, () =>
      reject(new Error(`gave up waiting for ${what} after ${deadlineMs} ms${describe()}`)),
    )
    this.#listeners.add(look)
    look()
    await promise.finally(() => {
      cancel()
      this.#listeners.delete(look)
    })
  }

  close(): void {
    this.#closing.abort()
  }

  #see(name: string, phase: NodePhase): void {
    const before = this.#seen.get(name)?.phase
    if (before === phase) return
    if (before !== undefined) this.#counts.set(before, this.count(before) - 1)
    this.#counts.set(phase, this.count(phase) + 1)
    this.#seen.set(name, { phase, atMs: systemClock.monotonicMs() })
    for (const listener of this.#listeners) listener()
  }
}
