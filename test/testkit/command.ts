/** Running other programs to their end: the testkit's hands. */
import { execFile } from 'node:child_process'
import { CloudlessError } from '@cloudless/base'

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Written to its standard input, which is then closed; empty when not given. */
  readonly input?: string | Uint8Array
  /** Killed when it takes longer; 30,000 when not given. */
  readonly deadlineMs?: number
}

export interface CommandResult {
  /** Exit code; 128 + n when signal n ended it (the deadline's SIGKILL: 137); 127 when there is no such program. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** How much output is kept; a program that writes more is killed. */
const outputBytesMax = 64 * 1024 * 1024

/** Runs a program to its end and never rejects: what went wrong is in the code and in stderr. */
export function runCommand(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [program, ...args] = command
  return new Promise((resolve) => {
    const child = execFile(
      program!,
      args,
      {
        encoding: 'utf8',
        maxBuffer: outputBytesMax,
        timeout: options.deadlineMs ?? 30_000,
        killSignal: 'SIGKILL',
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.env === undefined ? {} : { env: options.env }),
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : exitCodeOf(error)
        const reason = error !== null && stderr === '' ? error.message : ''
        resolve({ code, stdout, stderr: stderr + reason })
      },
    )
    // A program that does not read its input closes the pipe early; its exit code tells the story.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
  })
}

/** As runCommand, resolving with standard output; rejects with `failed_precondition` when the exit code is not 0. */
export async function mustRun(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await runCommand(command, options)
  if (result.code === 0) return result.stdout
  const said = (result.stderr.trim() || result.stdout.trim()).slice(-2000)
  throw new CloudlessError(
    'failed_precondition',
    `${command.join(' ')} ended with exit code ${result.code}: ${said}`,
    { details: { exitCode: result.code } },
  )
}

function exitCodeOf(error: Error & { code?: unknown; signal?: unknown }): number {
  if (typeof error.code === 'number') return error.code
  if (error.code === 'ENOENT') return 127
  return error.signal === 'SIGTERM' ? 143 : 137
}
