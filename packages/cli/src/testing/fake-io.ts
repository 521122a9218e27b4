/** For tests: an Io that remembers, with a scripted stdin and window. */
import { EventEmitter, once } from 'node:events'
import type { Io, WindowShape } from '../io.ts'

export interface FakeIoOptions {
  readonly input?: readonly string[]
  /** Keeps stdin open after `input`, as a terminal would. */
  readonly inputStaysOpen?: boolean
  readonly terminal?: boolean
}

export class FakeIo implements Io {
  outText = ''
  errText = ''
  /** Each switch of raw mode, in order. */
  readonly rawModes: boolean[] = []
  window: WindowShape = { columns: 100, rows: 30 }
  readonly inputIsTerminal: boolean
  readonly outputIsTerminal: boolean
  readonly errorIsTerminal: boolean
  readonly useColour: boolean
  readonly input: AsyncIterable<Uint8Array>
  readonly #events = new EventEmitter()
  readonly #text: string
  #closed = false

  constructor(options: FakeIoOptions = {}) {
    const { input = [], terminal = false, inputStaysOpen = false } = options
    this.inputIsTerminal = terminal
    this.outputIsTerminal = terminal
    this.errorIsTerminal = terminal
    this.useColour = terminal
    this.#text = input.join('')
    this.input = this.#chunks(input, inputStaysOpen)
  }

  out(text: string | Uint8Array): void {
    this.outText += typeof text === 'string' ? text : Buffer.from(text).toString()
    this.#events.emit('change')
  }

  err(text: string | Uint8Array): void {
    this.errText += typeof text === 'string' ? text : Buffer.from(text).toString()
    this.#events.emit('change')
  }

  async drained(): Promise<void> {}

  async readAllInput(): Promise<string> {
    return this.#text
  }

  windowSize(): WindowShape {
    return this.window
  }

  onResize(changed: () => void): () => void {
    this.#events.on('resize', changed)
    return () => void this.#events.off('resize', changed)
  }

  resize(window: WindowShape): void {
    this.window = window
    this.#events.emit('resize')
  }

  setRawInput(raw: boolean): void {
    this.rawModes.push(raw)
  }

  closeInput(): void {
    this.#closed = true
    this.#events.emit('closed')
  }

  /** Resolves when what was printed holds true; fails after five seconds with what was printed. */
  async until(holds: (io: FakeIo) => boolean): Promise<void> {
    const signal = AbortSignal.timeout(5_000)
    while (!holds(this)) {
      await once(this.#events, 'change', { signal }).catch(() => {
        throw new Error(`not printed in time. stdout:\n${this.outText}\nstderr:\n${this.errText}`)
      })
    }
  }

  async *#chunks(input: readonly string[], staysOpen: boolean): AsyncGenerator<Uint8Array> {
    for (const chunk of input) yield Buffer.from(chunk)
    if (staysOpen && !this.#closed) await once(this.#events, 'closed')
  }
}
