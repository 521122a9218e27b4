/**
 * What a verb is: help as data, effects through a context, the exit code as return value.
 *
 * A command never prints errors: it throws a CloudlessError (or UsageError) and the runner explains it.
 */
import type { Clock, Random } from '@cloudless/base'
import type { Settings } from './config/settings.ts'
import type { Connection } from './connection/connection.ts'
import type { Environment } from './environment.ts'
import type { Io } from './io.ts'
import type { Completion, Option } from './option.ts'
import type { Options } from './options.ts'

export interface Command {
  /** A paragraph or two below the summary of the catalog. */
  readonly description: string
  readonly examples: readonly Example[]
  readonly arguments: readonly Argument[]
  readonly options: readonly Option[]
  run(context: CommandContext, input: CommandInput): Promise<number>
}

export interface Example {
  readonly title: string
  readonly line: string
}

export interface Argument {
  readonly name: string
  readonly help: string
  readonly optional?: true
  /** Takes all that follow; only the last. */
  readonly variadic?: true
  readonly completes?: Completion
}

export interface CommandInput {
  readonly arguments: readonly string[]
  readonly options: Options
}

export interface CommandContext {
  readonly io: Io
  readonly clock: Clock
  readonly random: Random
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly settings: Settings
  readonly environment: Environment
  readonly workingDirectory: string
  /** Dials once; later calls return the same. Closed by the runner. */
  connect(): Promise<Connection>
}
