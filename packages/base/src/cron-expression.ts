/**
 * Reads schedules as cron has them: minute, hour, day of month, month, day of week.
 *
 * A field is a list of `*`, numbers, names (`JAN`, `MON`), ranges `a-b`, each with a step `/n` if need be. Sunday is 0 and
 * 7. When both days are restricted a day that meets either will do, as everywhere; a field that begins with `*` restricts
 * nothing by itself, so then a day must meet both.
 */

export interface CronExpression {
  /** In order. */
  readonly minutes: readonly number[]
  /** In order. */
  readonly hours: readonly number[]
  readonly daysOfMonth: ReadonlySet<number>
  /** 1 to 12. */
  readonly months: ReadonlySet<number>
  /** 0, a Sunday, to 6. */
  readonly daysOfWeek: ReadonlySet<number>
  /** A day must meet both fields of days; otherwise one of them. */
  readonly needsBothDays: boolean
}

export type CronExpressionResult =
  | { readonly kind: 'ok'; readonly expression: CronExpression }
  | { readonly kind: 'invalid'; readonly problem: string }

interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  /** Of the values from `min` on. */
  readonly words?: readonly string[]
}

const monthWords = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ')
const weekdayWords = 'SUN MON TUE WED THU FRI SAT'.split(' ')

const fields: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, words: monthWords },
  { name: 'day of week', min: 0, max: 7, words: weekdayWords },
]

const nicknames: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

const lengthMax = 256

/** The problem reads on after the field's name: "must have five fields...". */
export function parseCronExpression(text: string): CronExpressionResult {
  if (text.length > lengthMax) return invalid(`must have at most ${lengthMax} characters`)
  const trimmed = text.trim()
  const written = nicknames[trimmed.toLowerCase()] ?? trimmed
  if (written.startsWith('@')) {
    return invalid(`must be one of ${Object.keys(nicknames).join(', ')}, not "${trimmed}"`)
  }
  const parts = written.split(/\s+/)
  if (written === '' || parts.length !== fields.length) {
    return invalid(
      'must have five fields (minute, hour, day of month, month, day of week), such as ' +
        `"0 3 * * MON-FRI", not "${trimmed}"`,
    )
  }
  const values: ReadonlySet<number>[] = []
  for (const [n, field] of fields.entries()) {
    const found = parseField(parts[n]!, field)
    if (typeof found === 'string') return invalid(found)
    values.push(found)
  }
  const [minutes, hours, daysOfMonth, months, daysOfWeek] = values
  return {
    kind: 'ok',
    expression: {
      minutes: inOrder(minutes!),
      hours: inOrder(hours!),
      daysOfMonth: daysOfMonth!,
      months: months!,
      daysOfWeek: new Set([...daysOfWeek!].map((day) => day % 7)),
      needsBothDays: parts[2]!.startsWith('*') || parts[4]!.startsWith('*'),
    },
  }
}

function invalid(problem: string): CronExpressionResult {
  return { kind: 'invalid', problem }
}

function inOrder(values: ReadonlySet<number>): number[] {
  return [...values].sort((a, b) => a - b)
}

/** The values it stands for, or what is wrong with it. */
function parseField(text: string, field: Field): ReadonlySet<number> | string {
  const values = new Set<number>()
  for (const term of text.split(',')) {
    const range = parseTerm(term, field)
    if (typeof range === 'string') return range
    for (let value = range.first; value <= range.last; value += range.step) values.add(value)
  }
  return values
}

interface Range {
  readonly first: number
  readonly last: number
  readonly step: number
}

const termPattern = /^(?:\*|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/

function parseTerm(term: string, field: Field): Range | string {
  const { name, min, max } = field
  const match = termPattern.exec(term)
  if (match === null) {
    return `has "${term}" as ${name}: it must be *, a value, a range a-b or a list, with /n for a step`
  }
  const [, from, to, stepText] = match
  const step = stepText === undefined ? 1 : Number(stepText)
  if (step < 1 || step > max) return `has a step of ${step} in its ${name}: it must be 1 to ${max}`
  if (from === undefined) return { first: min, last: max, step }
  const first = valueOf(from, field)
  // "5/15" is from 5 on.
  const last = to !== undefined ? valueOf(to, field) : stepText === undefined ? first : max
  for (const value of [first, last]) {
    if (value !== undefined && value >= min && value <= max) continue
    const words = field.words ? ` or ${field.words[0]} to ${field.words.at(-1)}` : ''
    return `has "${term}" as ${name}: it must be from ${min} to ${max}${words}`
  }
  if (first! > last!) return `has "${term}" as ${name}: the range goes backwards`
  return { first: first!, last: last!, step }
}

function valueOf(text: string, { min, words }: Field): number | undefined {
  if (/^\d+$/.test(text)) return Number(text)
  const at = words?.indexOf(text.toUpperCase()) ?? -1
  return at < 0 ? undefined : min + at
}
