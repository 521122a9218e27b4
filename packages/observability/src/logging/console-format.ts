/** A log line for eyes: time, level, logger, message, then what else was said. */
import type { LogLevel } from './log-level.ts'

const colourByLevel: Readonly<Record<LogLevel, number>> = {
  debug: 90,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 35,
}

/** Already said, or of use to machines only. */
const leftOut = new Set(['timestamp', 'level', 'logger', 'message'])

export function formatForConsole(line: string, colour: boolean): string {
  const record = JSON.parse(line) as Record<string, unknown>
  const level = record['level'] as LogLevel
  const time = String(record['timestamp']).slice(11, 23)
  const paint = (code: number, text: string): string =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text
  const fields = Object.entries(record)
    .filter(([name]) => !leftOut.has(name))
    .map(([name, value]) => `${paint(90, `${name}=`)}${formatValue(value)}`)
  const head = [
    paint(90, time),
    paint(colourByLevel[level], level.toUpperCase().padEnd(5)),
    paint(36, String(record['logger'])),
    String(record['message'] ?? ''),
  ]
  return `${[...head, ...fields].join(' ')}\n`
}

function formatValue(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@-]+$/.test(value)) return value
  return JSON.stringify(value)
}
