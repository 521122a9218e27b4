/** One invocation: from the words of the command line to the exit code. Everything it needs is handed in. */
import { CloudlessError, randomId, version, type Clock, type Random } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from './command.ts'
import type { Environment } from './environment.ts'
import { rememberCoordinators } from './config/known-coordinators.ts'
import { loadSettings } from './config/settings.ts'
import type { Connection } from './connection/connection.ts'
import { exitCodeOf, exitCodes, UsageError } from './exit-code.ts'
import type { Io } from './io.ts'
import { parseInput } from './parse.ts'
import { route } from './route.ts'
import { sentence } from './sentence.ts'
import type { Entry } from './catalog.ts'

export interface RunDeps {
  readonly io: Io
  readonly clock: Clock
  readonly random: Random
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly environment: Environment
  readonly workingDirectory: string
}

/** Resolves with the exit code; throws only for our own bugs. */
export async function run(deps: RunDeps, words: readonly string[]): Promise<number> {
  if (words[0] === 'help') return await run(deps, [...words.slice(1), '--help'])
  const found = route(words)
  switch (found.kind) {
    case 'verb':
      return await runVerb(deps, found.entry, found.words)
    case 'root':
      if (words.includes('--version')) {
        deps.io.out(`cloudlessctl ${version}\n`)
        return exitCodes.ok
      }
      deps.io.out((await import('./help.ts')).rootHelp())
      return exitCodes.ok
    case 'group':
      deps.io.out((await import('./help.ts')).groupHelp(found.group))
      return exitCodes.ok
    case 'unknown':
      deps.io.err(`${found.problem}\nAll commands: cloudlessctl --help\n`)
      return exitCodes.usage
  }
}

async function runVerb(deps: RunDeps, entry: Entry, words: readonly string[]): Promise<number> {
  const command = await entry.load()
  if (wantsHelp(words)) {
    deps.io.out((await import('./help.ts')).commandHelp(entry, command))
    return exitCodes.ok
  }
  const ids = { correlationId: `cli-${randomId(deps.random, 16)}`, requestId: '' }
  let connection: Promise<Connection> | undefined
  let verbose = words.includes('--verbose') || words.includes('-v')
  try {
    const input: CommandInput = parseInput(command, words)
    const settings = await loadSettings(input.options, deps.environment, deps.workingDirectory)
    verbose = settings.verbose
    const context: CommandContext = {
      ...deps,
      settings,
      connect: () =>
        (connection ??= import('./connection/connection.ts').then(({ openConnection }) =>
          openConnection(
            {
              ...deps,
              correlationId: ids.correlationId,
              onRequest: (requestId) => (ids.requestId = requestId),
              onCoordinators: (told) => {
                if (settings.knownPlace) rememberCoordinators(settings.knownPlace, told)
              },
            },
            settings,
          ),
        )),
    }
    const exitCode = await command.run(context, input)
    return deps.signal.aborted ? exitCodes.interrupted : exitCode
  } catch (reason) {
    if (deps.signal.aborted) return exitCodes.interrupted
    if (reason instanceof UsageError) return await usageFailure(deps.io, reason, entry, command)
    const error = await explain(reason)
    deps.io.err(`${sentence(error.message)}\n`)
    if (verbose) deps.io.err(details(error, ids))
    return exitCodeOf(error)
  } finally {
    await connection?.then(
      (open) => open.close(),
      () => undefined, // It never opened; the command has the error.
    )
    deps.io.closeInput()
  }
}

function wantsHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  const before = end < 0 ? words : words.slice(0, end)
  return before.includes('--help') || before.includes('-h')
}

async function usageFailure(
  io: Io,
  error: UsageError,
  entry: Entry,
  command: Command,
): Promise<number> {
  const { usageOf } = await import('./help.ts')
  io.err(`${sentence(error.message)}\nUsage: ${usageOf(entry, command)}\n`)
  io.err(`More: cloudlessctl ${entry.name} --help\n`)
  return exitCodeOf(error)
}

/** Connect's errors need Connect to be told apart; it is loaded only when something is wrong. */
async function explain(reason: unknown): Promise<CloudlessError> {
  if (reason instanceof CloudlessError) return reason
  return (await import('./connection/explain.ts')).explainFailure(reason)
}

function details(
  error: CloudlessError,
  ids: { readonly correlationId: string; readonly requestId: string },
): string {
  const lines = [`code: ${error.code}`, `correlation id: ${ids.correlationId}`]
  if (ids.requestId !== '') lines.push(`request id: ${ids.requestId}`)
  let cause: unknown = error.cause
  for (let depth = 0; cause instanceof Error && depth < 8; depth++) {
    lines.push(`because: ${cause.message}`)
    cause = cause.cause
  }
  return lines.map((line) => `  ${line}\n`).join('')
}
