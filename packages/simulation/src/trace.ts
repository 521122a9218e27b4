/**
 * What happened in a simulated world: a fingerprint of all of it, by which two runs of one seed are compared, and, when
 * asked for, the lines a person reads.
 */
export interface TraceOptions {
  /** Called with each line; without it lines are not made. */
  readonly write?: (line: string) => void
}

const seedLow = 0x811c9dc5
const seedHigh = 0x1b873593

export class Trace {
  readonly #nowMs: () => number
  readonly #write: ((line: string) => void) | undefined
  #low = seedLow
  #high = seedHigh
  #count = 0

  constructor(nowMs: () => number, options: TraceOptions = {}) {
    this.#nowMs = nowMs
    this.#write = options.write
  }

  /** The same for two runs in which the same happened at the same times. */
  get fingerprint(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
    return hex(this.#high) + hex(this.#low)
  }

  /** How many things happened. */
  get count(): number {
    return this.#count
  }

  /** Takes it into the fingerprint. */
  note(what: string, number = 0): void {
    this.#count++
    this.#mix(Math.round(this.#nowMs() * 1_000))
    this.#mix(number)
    for (let n = 0; n < what.length; n++) this.#mix(what.charCodeAt(n))
  }

  noteBytes(what: string, bytes: Uint8Array): void {
    this.note(what, bytes.byteLength)
    for (const byte of bytes) this.#mix(byte)
  }

  /** Takes it into the fingerprint, and tells the reader. */
  say(line: string): void {
    this.note(line)
    this.tell(() => line)
  }

  /** Tells only the reader; the line is made only when there is one. */
  tell(line: () => string): void {
    this.#write?.(`${stamp(this.#nowMs())}  ${line()}`)
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193)
    this.#high = Math.imul((this.#high ^ value) + (this.#low >>> 15), 0x5bd1e995)
  }
}

function stamp(ms: number): string {
  const whole = Math.floor(ms)
  const part = (value: number, width: number): string => String(value).padStart(width, '0')
  const hours = Math.floor(whole / 3_600_000)
  const minutes = Math.floor(whole / 60_000) % 60
  const seconds = Math.floor(whole / 1_000) % 60
  return `${part(hours, 2)}:${part(minutes, 2)}:${part(seconds, 2)}.${part(whole % 1_000, 3)}`
}
