/** The real CLI, pointed at one cluster. */
import { CloudlessError } from '@cloudless/base'
import { runCommand, type CommandOptions, type CommandResult } from './command.ts'
import { cleanEnvironment, ctlProgram } from './programs.ts'

export interface Ctl {
  /** Runs the CLI to its end, whatever its exit code. */
  run(args: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** Standard output; rejects when the exit code is not 0. */
  text(args: readonly string[], options?: CommandOptions): Promise<string>
  /** What it prints with `-o json`. */
  json<T>(args: readonly string[]): Promise<T>
  /** The `items` of what it prints with `-o json`. */
  items<T>(args: readonly string[]): Promise<readonly T[]>
}

/** `configFile`: written by writeCliConfig. */
export function createCtl(configFile: string): Ctl {
  const env = cleanEnvironment({ CLOUDLESS_CONFIG: configFile, NO_COLOR: '1' })

  function run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand([ctlProgram, ...args], { ...options, env: { ...env, ...options.env } })
  }

  async function text(args: readonly string[], options?: CommandOptions): Promise<string> {
    const result = await run(args, options)
    if (result.code === 0) return result.stdout
    throw new CloudlessError(
      'failed_precondition',
      `cloudlessctl ${args.join(' ')} ended with exit code ${result.code}: ` +
        (result.stderr.trim() || result.stdout.trim()),
      { details: { exitCode: result.code } },
    )
  }

  async function json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await text([...args, '-o', 'json'])) as T
  }

  return {
    run,
    text,
    json,
    items: async <T>(args: readonly string[]) =>
      (await json<{ items?: readonly T[] }>(args)).items ?? [],
  }
}
