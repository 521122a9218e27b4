/** The options of one invocation, read by name and kind. Asking for one that was not declared is a bug. */
import { assert, parseDurationMs } from '@cloudless/base'
import type { Option, OptionKind } from './option.ts'
import { UsageError } from './exit-code.ts'

type Raw = string | boolean | readonly string[] | undefined

export class Options {
  readonly #declared: ReadonlyMap<string, Option>
  readonly #values: ReadonlyMap<string, Raw>

  /** Throws UsageError when a value does not fit its option. */
  constructor(declared: readonly Option[], values: ReadonlyMap<string, Raw>) {
    this.#declared = new Map(declared.map((option) => [option.name, option]))
    this.#values = values
    for (const option of declared) this.#check(option)
  }

  flag(name: string): boolean {
    return this.#raw(name, 'flag') === true
  }

  text(name: string): string | undefined {
    const raw = this.#raw(name, 'text')
    return typeof raw === 'string' ? raw : undefined
  }

  list(name: string): readonly string[] {
    const raw = this.#raw(name, 'list')
    return Array.isArray(raw) ? raw : []
  }

  /** KEY=VALUE pairs; a key given twice keeps the last value. */
  pairs(name: string): Readonly<Record<string, string>> {
    const raw = this.#raw(name, 'pairs')
    return Object.fromEntries(Array.isArray(raw) ? raw.flatMap(splitPairs) : [])
  }

  integer(name: string): number | undefined {
    const raw = this.#raw(name, 'integer')
    return typeof raw === 'string' ? Number(raw) : undefined
  }

  durationMs(name: string): number | undefined {
    const raw = this.#raw(name, 'duration')
    return typeof raw === 'string' ? parseDurationMs(raw) : undefined
  }

  /** Whether it was typed or has a default. */
  has(name: string): boolean {
    assert(this.#declared.has(name), `--${name} is declared by the command that reads it`)
    return this.#values.get(name) !== undefined
  }

  #raw(name: string, kind: OptionKind): Raw {
    const option = this.#declared.get(name)
    assert(option?.kind === kind, `--${name} is declared as ${kind} by the command that reads it`)
    return this.#values.get(name) ?? (kind === 'flag' ? option.default === 'true' : option.default)
  }

  #check(option: Option): void {
    const raw = this.#values.get(option.name)
    if (raw === undefined) return
    for (const value of Array.isArray(raw) ? (raw as readonly string[]) : [raw]) {
      const problem = problemWith(option, value)
      if (problem !== undefined) throw new UsageError(`--${option.name} ${problem}`)
    }
  }
}

function problemWith(
  option: Option,
  value: string | boolean | readonly string[],
): string | undefined {
  if (typeof value !== 'string') return undefined
  const given = JSON.stringify(value)
  if (option.choices !== undefined && !option.choices.includes(value)) {
    return `must be one of ${option.choices.join(', ')}, not ${given}`
  }
  switch (option.kind) {
    case 'integer':
      return /^-?\d{1,15}$/.test(value) ? undefined : `must be a whole number, not ${given}`
    case 'duration':
      return parseDurationMs(value) === undefined
        ? `must be a duration such as 30s, 5m or 24h, not ${given}`
        : undefined
    case 'pairs':
      return splitPairs(value).some(([key]) => key === '')
        ? `must be KEY=VALUE, not ${given}`
        : undefined
    default:
      return undefined
  }
}

/** "a=1,b=2" -> pairs. A comma inside a value is kept when what follows has no "=" of its own. */
function splitPairs(text: string): [string, string][] {
  const pairs: [string, string][] = []
  for (const piece of text.split(',')) {
    const at = piece.indexOf('=')
    const last = pairs.at(-1)
    if (at > 0) pairs.push([piece.slice(0, at), piece.slice(at + 1)])
    else if (at < 0 && last !== undefined) last[1] += `,${piece}`
    else pairs.push(['', piece])
  }
  return pairs
}
