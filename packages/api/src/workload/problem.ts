/** What is wrong with a message, and where. Paths use the proto's JSON names: ["spec", "ports", 0, "containerPort"]. */
import { CloudlessError } from '@cloudless/base'

export type FieldPath = readonly (string | number)[]

export interface FieldProblem {
  readonly path: FieldPath
  /** The path as people read it: `spec.ports[0].containerPort`. */
  readonly field: string
  /** Reads on after the field: "must be from 1 to 65535, not 0". */
  readonly message: string
}

/** At most so many are reported: the rest only repeats. */
export const problemsMax = 100

/** Collects problems below one path. */
export class ProblemList {
  readonly #problems: FieldProblem[]
  readonly #path: FieldPath

  constructor(problems: FieldProblem[] = [], path: FieldPath = []) {
    this.#problems = problems
    this.#path = path
  }

  get problems(): readonly FieldProblem[] {
    return this.#problems
  }

  /** The same list, for what lies below. */
  at(...path: FieldPath): ProblemList {
    return new ProblemList(this.#problems, [...this.#path, ...path])
  }

  add(message: string): void {
    if (this.#problems.length >= problemsMax) return
    this.#problems.push({ path: this.#path, field: formatFieldPath(this.#path), message })
  }

  /** Adds `problem` when there is one. */
  addIf(problem: string | undefined): void {
    if (problem !== undefined) this.add(problem)
  }

  integer(value: number | bigint, { min, max }: IntegerRange): void {
    if (value < min || value > max) this.add(`must be from ${min} to ${max}, not ${value}`)
  }

  oneOf(value: string, allowed: readonly string[]): void {
    if (allowed.includes(value)) return
    const choice = allowed.filter((one) => one !== '').map((one) => `"${one}"`)
    this.add(`must be ${choice.join(' or ')}, not ${quoted(value)}`)
  }

  /** Reports each element whose key was seen before. Elements without a key are not compared. */
  unique<T>(items: readonly T[], keyOf: (item: T) => string, name: string): void {
    const seen = new Set<string>()
    for (const [index, item] of items.entries()) {
      const key = keyOf(item)
      if (key === '') continue
      if (seen.has(key)) this.at(index).add(`repeats the ${name} ${quoted(key)}`)
      seen.add(key)
    }
  }

  absolutePath(path: string): void {
    if (!path.startsWith('/')) this.add(`must be an absolute path, not ${quoted(path)}`)
    else if (path.length > 4096) this.add('must have at most 4096 characters')
    else if (path.includes('\0')) this.add('must not contain a NUL character')
    else if (path.split('/').includes('..')) this.add('must not contain ".."')
  }
}

export interface IntegerRange {
  readonly min: number
  readonly max: number
}

const plainKey = /^[A-Za-z_][A-Za-z0-9_]*$/

/** `spec.ports[0].name`; keys that are no identifiers as `labels["a/b"]`. */
export function formatFieldPath(path: FieldPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (plainKey.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${quoted(part)}]`
  }
  return text
}

/** In quotation marks and cut to a length fit for a message. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
}

/** The refusal to answer with: every problem on a line of its own, the first field as a fact. */
export function errorOfProblems(tried: string, problems: readonly FieldProblem[]): CloudlessError {
  const lines = problems.map(({ field, message }) => `${field} ${message}`)
  const text = lines.length === 1 ? lines[0] : lines.map((line) => `\n  ${line}`).join('')
  return new CloudlessError('invalid_argument', `${tried}: ${text}`, {
    details: { field: problems[0]?.field ?? '', problems: problems.length },
  })
}
