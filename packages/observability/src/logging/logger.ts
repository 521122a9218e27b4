/** Structured logs: one JSON object a line, with the ids of the current context; on a terminal, lines for people. */
import { systemClock, type Clock } from '@cloudless/base'
import { destination, pino, type DestinationStream } from 'pino'
import { currentContext } from '../context.ts'
import { redactRecord, redactText } from '../redaction.ts'
import { formatForConsole } from './console-format.ts'
import { parseLogLevel, type LogLevel } from './log-level.ts'

type Write = (fields: object, message: string) => void

/** Messages are constant sentences; what varies goes into the fields. Secrets in either are masked. */
export interface Logger {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  readonly fatal: Write
  /** Its name is added to this one's with a dot; the fields go into each of its lines. */
  child(name: string, fields?: object): Logger
  /** Holds for this logger and the children made later. Throws `invalid_argument` for an unknown name. */
  setLevel(level: string): void
}

export interface LoggerOptions {
  /** Such as "coordinator". */
  readonly name: string
  /** A name of LogLevel; "info" when not given. Throws `invalid_argument` for any other. */
  readonly level?: string
  /** "console" on a terminal and "json" elsewhere when not given. */
  readonly format?: 'json' | 'console'
  /** In every line. */
  readonly fields?: object
}

export interface LoggerDeps {
  readonly clock?: Clock
  /** Where lines go, each with its newline; standard output when not given. */
  readonly write?: (line: string) => void
}

export function createLogger(options: LoggerOptions, deps: LoggerDeps = {}): Logger {
  const clock = deps.clock ?? systemClock
  const terminal = deps.write === undefined && process.stdout.isTTY
  const format = options.format ?? (terminal ? 'console' : 'json')
  const level = parseLogLevel(options.level ?? 'info')
  const stream = streamFor(deps.write, format, terminal && process.env['NO_COLOR'] === undefined)
  const base = createPino(clock, level, stream)
  return wrap(base, options.name, options.fields ?? {}, level)
}

function createPino(clock: Clock, level: LogLevel, stream: DestinationStream) {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
}

function wrap(
  base: ReturnType<typeof createPino>,
  name: string,
  fields: object,
  level: LogLevel,
): Logger {
  const own = base.child({}, { level })
  const writeAt =
    (at: LogLevel): Write =>
    (extra, message) => {
      if (!own.isLevelEnabled(at)) return
      const { requestId, correlationId, nodeId, workloadId } = currentContext()
      const ids = { requestId, correlationId, nodeId, workloadId }
      const said = redactRecord({ ...ids, ...fields, ...extra })
      own[at]({ logger: name, ...said }, redactText(message))
    }
  return {
    debug: writeAt('debug'),
    info: writeAt('info'),
    warn: writeAt('warn'),
    error: writeAt('error'),
    fatal: writeAt('fatal'),
    child: (childName, childFields = {}) =>
      wrap(base, `${name}.${childName}`, { ...fields, ...childFields }, own.level as LogLevel),
    setLevel(text) {
      own.level = parseLogLevel(text)
    },
  }
}

function streamFor(
  write: ((line: string) => void) | undefined,
  format: 'json' | 'console',
  colour: boolean,
): DestinationStream {
  if (format === 'console') {
    const print = write ?? ((line: string) => process.stdout.write(line))
    return { write: (line) => void print(formatForConsole(line, colour)) }
  }
  // Synchronous: the last lines before a crash are the ones that matter.
  return write === undefined ? destination({ fd: 1, sync: true }) : { write }
}
