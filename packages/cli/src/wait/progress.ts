/** What a wait shows on stderr: lines that change in place on a terminal, a line per change elsewhere. */
import type { Io } from '../io.ts'
import { LiveBlock } from '../output/live-block.ts'

export class Progress {
  readonly #io: Io
  readonly #block: LiveBlock | undefined
  readonly #lines = new Map<string, readonly string[]>()
  readonly #printed = new Map<string, ReadonlySet<string>>()

  constructor(io: Io) {
    this.#io = io
    this.#block = io.errorIsTerminal ? new LiveBlock(io, (text) => io.err(text)) : undefined
  }

  /** Sets the lines of one of the things waited for. */
  show(key: string, lines: readonly string[]): void {
    this.#lines.set(key, lines)
    if (this.#block !== undefined) {
      const all = [...this.#lines.values()].flat()
      this.#block.show(all.map((line) => `${line}\n`).join(''))
      return
    }
    const before = this.#printed.get(key)
    for (const line of lines) if (!before?.has(line)) this.#io.err(`${line}\n`)
    this.#printed.set(key, new Set(lines))
  }
}
