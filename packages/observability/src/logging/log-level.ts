import { CloudlessError } from '@cloudless/base'

export const logLevels = ['debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof logLevels)[number]

/** Throws `invalid_argument` naming the levels there are. */
export function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text)
  if (level !== undefined) return level
  throw new CloudlessError(
    'invalid_argument',
    `log level ${JSON.stringify(text)} is not known; use one of ${logLevels.join(', ')}`,
  )
}
