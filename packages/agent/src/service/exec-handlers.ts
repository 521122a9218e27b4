/** Commands inside containers: to their end with their output, or as a conversation. */
import { create } from '@bufbuild/protobuf'
import {
  ExecCommandResponseSchema,
  ExecOutputSchema,
  type ExecCommandRequest,
  type ExecCommandResponse,
  type ExecInput,
  type ExecOutput,
  type ExecStart,
} from '@cloudless/api'
import { CloudlessError, onAbort, type Clock } from '@cloudless/base'
import type { ExecSession, Runtime } from '@cloudless/runtime'

export interface ExecDeps {
  readonly clock: Clock
  readonly runtime: Pick<Runtime, 'exec'>
}

const outputBytesMax = 4 * 1024 * 1024
const timeoutMsDefault = 60_000
const timeoutMsMax = 3_600_000

/** `deadline_exceeded` when it runs longer than it may; it is killed then. */
export async function runCommand(
  deps: ExecDeps,
  request: ExecCommandRequest,
  signal: AbortSignal,
): Promise<ExecCommandResponse> {
  const timeoutMs = Math.min(Number(request.timeoutMs) || timeoutMsDefault, timeoutMsMax)
  const session = await deps.runtime.exec(request.containerId, {
    command: commandOf(request.command),
    env: request.env,
    workingDir: request.workingDir,
    tty: request.tty,
    stdin: false,
  })
  let timedOut = false
  const end = (): void => void session.close().catch(() => undefined) // Closed again below.
  const cancel = deps.clock.after(timeoutMs, () => {
    timedOut = true
    end()
  })
  const forget = onAbort(signal, end)
  try {
    const output = await collect(session)
    if (timedOut) {
      const said = `the command ran longer than ${timeoutMs} ms and was killed`
      throw new CloudlessError('deadline_exceeded', said)
    }
    return create(ExecCommandResponseSchema, { ...output, exitCode: await session.exitCode })
  } finally {
    cancel()
    forget()
    await session.close()
  }
}

async function collect(
  session: ExecSession,
): Promise<{ stdout: Uint8Array; stderr: Uint8Array; truncated: boolean }> {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  const bytes = { stdout: 0, stderr: 0 }
  let truncated = false
  for await (const { stream, data } of session.output) {
    const kept = data.subarray(0, Math.max(0, outputBytesMax - bytes[stream]))
    truncated ||= kept.length < data.length
    bytes[stream] += kept.length
    if (kept.length > 0) chunks[stream].push(kept)
  }
  return {
    stdout: Buffer.concat(chunks.stdout),
    stderr: Buffer.concat(chunks.stderr),
    truncated,
  }
}

/** Input is read while output is written; the process dies with the call. */
export async function* converse(
  deps: ExecDeps,
  inputs: AsyncIterable<ExecInput>,
  findContainer: (containerId: string) => string,
  signal: AbortSignal,
): AsyncIterable<ExecOutput> {
  const iterator = inputs[Symbol.asyncIterator]()
  const first = await iterator.next()
  const start = first.done ? undefined : first.value.input
  if (start?.case !== 'start') {
    throw new CloudlessError('invalid_argument', 'the first message of Exec must be "start"')
  }
  const session = await deps.runtime.exec(
    findContainer(start.value.containerId),
    execRequestOf(start.value),
  )
  const end = (): void => void session.close().catch(() => undefined) // Closed again below.
  const forget = onAbort(signal, end)
  try {
    yield outputOf({ case: 'started', value: true })
    void feed(session, iterator).catch(end)
    for await (const { stream, data } of session.output) {
      yield outputOf({ case: stream, value: data })
    }
    yield outputOf({ case: 'exitCode', value: await session.exitCode })
  } finally {
    forget()
    await session.close()
  }
}

function execRequestOf(start: ExecStart) {
  return {
    command: commandOf(start.command),
    env: start.env,
    workingDir: start.workingDir,
    tty: start.tty,
    stdin: start.stdin,
    ...(start.size === undefined
      ? {}
      : { size: { columns: start.size.columns, rows: start.size.rows } }),
  }
}

/** Until the caller has no more to say. A process that has ended takes nothing more, which is no fault. */
async function feed(session: ExecSession, inputs: AsyncIterator<ExecInput>): Promise<void> {
  for (;;) {
    const next = await inputs.next()
    if (next.done) return session.closeStdin()
    const { input } = next.value
    if (input.case === 'stdin') await session.write(input.value)
    else if (input.case === 'resize') await session.resize(input.value.columns, input.value.rows)
    else if (input.case === 'closeStdin') await session.closeStdin()
    else if (input.case === 'signal') await session.signal(input.value)
  }
}

function outputOf(output: ExecOutput['output']): ExecOutput {
  return create(ExecOutputSchema, { output })
}

function commandOf(command: readonly string[]): readonly string[] {
  if (command.length > 0 && command[0] !== '') return command
  throw new CloudlessError('invalid_argument', 'command: must name what to run')
}
