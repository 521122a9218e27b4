/** A block of lines that is drawn over itself as it changes, on a terminal. */
import type { Io } from '../io.ts'

export class LiveBlock {
  readonly #io: Io
  readonly #write: (text: string) => void
  #linesShown = 0

  /** `write` goes to the terminal the block lives on: stdout for watches, stderr for progress. */
  constructor(io: Io, write: (text: string) => void) {
    this.#io = io
    this.#write = write
  }

  /** Replaces what is shown. Lines wider than the window are cut, so that every line takes one row. */
  show(text: string): void {
    const { columns, rows } = this.#io.windowSize()
    const lines = text.replace(/\n$/, '').split('\n')
    const shown = lines.slice(0, Math.max(1, rows - 1)).map((line) => cut(line, columns))
    const up = this.#linesShown > 0 ? `\u001b[${this.#linesShown}A\r` : ''
    this.#write(`${up}\u001b[J${shown.join('\n')}\n`)
    this.#linesShown = shown.length
  }

  /** Takes the block away. */
  clear(): void {
    if (this.#linesShown > 0) this.#write(`\u001b[${this.#linesShown}A\r\u001b[J`)
    this.#linesShown = 0
  }
}

function cut(line: string, columns: number): string {
  return line.length > columns ? `${line.slice(0, Math.max(1, columns - 1))}…` : line
}
