/**
 * Images that pulls found in their registry for other platforms than this machine's.
 *
 * Remembered for a while only: by then the registry may have one for this machine too. While somebody goes on trying to
 * pull one here it is found to be foreign again and again, and stays.
 */
import type { Clock } from '@cloudless/base'
import type { ForeignImage } from '../runtime.ts'

export interface ForeignImagesDeps {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** Called when list() answers otherwise than before; not for what is forgotten with time. */
  readonly onChange: () => void
}

interface Found {
  readonly platforms: readonly string[]
  readonly atMs: number
}

const lifeMs = 600_000
const imagesMax = 100

export class ForeignImages {
  readonly #deps: ForeignImagesDeps
  /** Oldest first. */
  readonly #byName = new Map<string, Found>()

  constructor(deps: ForeignImagesDeps) {
    this.#deps = deps
  }

  /** The registry has it for these platforms only. */
  add(name: string, platforms: readonly string[]): void {
    const before = this.#byName.get(name)
    this.#byName.delete(name)
    this.#byName.set(name, { platforms, atMs: this.#deps.clock.monotonicMs() })
    if (this.#byName.size > imagesMax) this.#byName.delete(this.#byName.keys().next().value!)
    if (before?.platforms.join() !== platforms.join()) this.#deps.onChange()
  }

  /** The registry has it for this machine. */
  delete(name: string): void {
    if (this.#byName.delete(name)) this.#deps.onChange()
  }

  /** Newest first. */
  list(): readonly ForeignImage[] {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const [name, { atMs }] of this.#byName) {
      if (nowMs - atMs >= lifeMs) this.#byName.delete(name)
    }
    return [...this.#byName].map(([name, { platforms }]) => ({ name, platforms })).toReversed()
  }
}
