/** What an etcd prints: its last lines are kept, and what it warns of is passed on, within a limit. */
import type { Clock } from '@cloudless/base'

export type LogFields = Readonly<Record<string, string | number>>
export type EtcdLog = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: LogFields,
) => void

export interface OutputLine {
  readonly level: 'info' | 'warn' | 'error'
  /** Without the facts: the same for all lines of its kind. */
  readonly kind: string
  readonly text: string
}

const linesKept = 20
const lineCharactersMax = 500
const forwardedPerMinuteMax = 30
const ofOneKindPerMinuteMax = 2
const minuteMs = 60_000

/** A member that reads this of itself does not belong to the cluster any more. */
const removal = 'the member has been permanently removed from the cluster'

/** Passes on what is of the level warn or above; how many were left out is said with the next. */
export class OutputForwarder {
  readonly #clock: Clock
  readonly #log: EtcdLog
  #minuteStartMs = Number.NEGATIVE_INFINITY
  #forwarded = 0
  readonly #byKind = new Map<string, number>()
  #leftOut = 0

  constructor(clock: Clock, log: EtcdLog) {
    this.#clock = clock
    this.#log = log
  }

  forward({ level, kind, text }: OutputLine): void {
    if (level === 'info') return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#minuteStartMs >= minuteMs) {
      if (this.#leftOut > 0) this.#log('warn', `etcd said ${this.#leftOut} more such lines`)
      this.#minuteStartMs = nowMs
      this.#forwarded = 0
      this.#leftOut = 0
      this.#byKind.clear()
    }
    const ofKind = this.#byKind.get(kind) ?? 0
    if (ofKind >= ofOneKindPerMinuteMax || this.#forwarded >= forwardedPerMinuteMax) {
      this.#leftOut++
      return
    }
    this.#byKind.set(kind, ofKind + 1)
    this.#forwarded++
    this.#log(level, `etcd: ${text}`)
  }
}

/** Of one run. */
export class OutputTail {
  readonly #lines: string[] = []
  #wasRemoved = false

  add({ text }: OutputLine): void {
    this.#lines.push(text)
    if (this.#lines.length > linesKept) this.#lines.shift()
    if (text.includes(removal)) this.#wasRemoved = true
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  /** It was told that it was removed from the cluster. */
  get wasRemoved(): boolean {
    return this.#wasRemoved
  }
}

/** Pure. A line that is no JSON is something out of the ordinary, such as a panic. */
export function parseOutputLine(line: string): OutputLine {
  const entry = jsonOf(line)
  if (entry === undefined) {
    const text = line.slice(0, lineCharactersMax)
    return { level: 'warn', kind: text, text }
  }
  const { level, ts: _ts, caller: _caller, msg, ...rest } = entry
  const facts = Object.entries(rest).map(([name, value]) => `${name}=${asText(value)}`)
  const text = [asText(msg), ...facts].join(' ').slice(0, lineCharactersMax)
  return {
    level: isHarmless(text, rest['error']) ? 'info' : levelOf(level),
    kind: asText(msg),
    text,
  }
}

/** What it warns of and is so by our choice, or good news. */
const harmless = [
  'exceeded recommended request limit',
  'simple token is not cryptographically signed',
  'established TCP streaming connection with remote peer',
]

function isHarmless(text: string, error: unknown): boolean {
  // Somebody looked whether the port answers: other members do when they measure, or miss a leader.
  const isLook = text.startsWith('rejected connection') && error === 'EOF'
  return isLook || harmless.some((warning) => text.startsWith(warning))
}

function jsonOf(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>
  } catch {
    return undefined // Cut off, or another program's: passed on as it is.
  }
}

function levelOf(level: unknown): OutputLine['level'] {
  if (level === 'debug' || level === 'info') return 'info'
  return level === 'warn' ? 'warn' : 'error'
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
