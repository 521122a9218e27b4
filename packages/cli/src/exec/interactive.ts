/** A command with our stdin, and a terminal if asked; ends with the command's exit code. */
import type { ExecInputSchema } from '@cloudless/api'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { CloudlessError } from '@cloudless/base'
import type { CommandContext } from '../command.ts'
import { InputQueue } from './input-queue.ts'

export interface ExecRequest {
  readonly containerId: string
  readonly nodeId: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
}

type Input = MessageInitShape<typeof ExecInputSchema>

/** The terminal is as it was before whatever happens here, also when this throws. */
export async function execInteractive(
  context: CommandContext,
  request: ExecRequest,
  wanted: { readonly tty: boolean; readonly stdin: boolean },
): Promise<number> {
  const { io, signal } = context
  const { agent } = await context.connect()
  const inputs = new InputQueue<Input>()
  const start = { ...request, command: [...request.command], env: { ...request.env } }
  void inputs.push({
    input: { case: 'start', value: { ...start, ...wanted, size: io.windowSize() } },
  })
  const stopResizing = wanted.tty
    ? io.onResize(() => void inputs.push({ input: { case: 'resize', value: io.windowSize() } }))
    : () => {}
  const raw = wanted.tty && wanted.stdin && io.inputIsTerminal
  if (raw) io.setRawInput(true)
  try {
    if (wanted.stdin) void pumpInput(io.input, inputs)
    else void inputs.push({ input: { case: 'closeStdin', value: true } })
    for await (const { output } of agent.exec(inputs, { signal, timeoutMs: 0 })) {
      if (output.case === 'stdout') io.out(output.value)
      else if (output.case === 'stderr') io.err(output.value)
      else if (output.case === 'exitCode') return output.value
      await io.drained()
    }
  } finally {
    inputs.end()
    stopResizing()
    if (raw) io.setRawInput(false)
  }
  throw new CloudlessError(
    'unavailable',
    `the connection to ${request.containerId} ended before the command did. Is its node still there?`,
  )
}

async function pumpInput(
  source: AsyncIterable<Uint8Array>,
  inputs: InputQueue<Input>,
): Promise<void> {
  try {
    for await (const chunk of source) {
      await inputs.push({ input: { case: 'stdin', value: Uint8Array.from(chunk) } })
    }
  } catch {
    // A terminal that goes away is the end of what is typed.
  }
  await inputs.push({ input: { case: 'closeStdin', value: true } })
}
