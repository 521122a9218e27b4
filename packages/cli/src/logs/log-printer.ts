/** Log lines on stdout, each behind the replica it is from. */
import type { Io } from '../io.ts'
import type { LogLine } from './log-source.ts'

export interface LogPrinterOptions {
  readonly prefix: boolean
  readonly timestamps: boolean
}

/** ANSI foregrounds that can be read on dark and on light. */
const colours = [36, 33, 32, 35, 34, 31, 96, 93, 92, 95]

export class LogPrinter {
  readonly #io: Io
  readonly #options: LogPrinterOptions
  readonly #colourOf = new Map<string, number>()
  #width = 0

  constructor(io: Io, options: LogPrinterOptions) {
    this.#io = io
    this.#options = options
  }

  /** Resolves when the reader of stdout has room for more. */
  async print(source: string, line: LogLine): Promise<void> {
    const time = this.#options.timestamps ? `${formatTime(line.timestampUs)} ` : ''
    this.#io.out(`${this.#prefix(source)}${time}${line.text}\n`)
    await this.#io.drained()
  }

  #prefix(source: string): string {
    if (!this.#options.prefix) return ''
    this.#width = Math.max(this.#width, source.length)
    const text = `${source.padEnd(this.#width)} | `
    if (!this.#io.useColour) return text
    let colour = this.#colourOf.get(source)
    if (colour === undefined) {
      colour = colours[this.#colourOf.size % colours.length]!
      this.#colourOf.set(source, colour)
    }
    return `\u001b[${colour}m${text}\u001b[0m`
  }
}

/** RFC 3339 in UTC with microseconds. */
function formatTime(timestampUs: bigint): string {
  const seconds = new Date(Number(timestampUs / 1_000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(timestampUs % 1_000_000n).padStart(6, '0')}Z`
}
