/** `workload exec`: a command inside a replica. */
import type { Command, CommandContext } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { execInteractive, type ExecRequest } from '../exec/interactive.ts'
import { findTarget, replicaToEnter } from '../targets.ts'

export const workloadExec: Command = {
  description:
    'Runs a command in a replica (a ready one, unless named) and ends with its exit code. -i passes stdin on,\n' +
    '-t gives it a terminal; a shell wants both. What follows -- is the command.',
  examples: [
    { title: 'A shell', line: 'cloudlessctl workload exec -it web -- sh' },
    { title: 'One command', line: 'cloudlessctl exec web -- cat /etc/hostname' },
    {
      title: 'Into one replica, through a pipe',
      line: 'tar c . | cloudlessctl exec -i web --replica abcdefgh -- tar x -C /data',
    },
  ],
  arguments: [
    { name: 'NAME', help: 'Workload, replica or container', completes: 'workload' },
    { name: 'COMMAND', help: 'The command and its arguments', optional: true, variadic: true },
  ],
  options: [
    { name: 'stdin', short: 'i', kind: 'flag', help: 'Pass stdin on' },
    { name: 'tty', short: 't', kind: 'flag', help: 'Give it a terminal' },
    { name: 'replica', kind: 'text', value: 'REPLICA', help: 'This one: its id or the end of it' },
    { name: 'env', short: 'e', kind: 'pairs', help: 'Environment variable; may be repeated' },
    { name: 'workdir', kind: 'text', value: 'DIR', help: 'Where it starts' },
    {
      name: 'node',
      kind: 'text',
      value: 'NODE',
      help: 'Node of a container run by hand',
      completes: 'node',
    },
    {
      name: 'timeout',
      kind: 'duration',
      default: '1m',
      help: 'Without -i and -t: the longest it may run',
    },
  ],

  async run(context, { arguments: [name, ...command], options }) {
    if (command.length === 0) throw new UsageError('say what to run after --, as in `-- ls -l`')
    const where = await placeOf(context, name!, options.text('node'), options.text('replica'))
    const request: ExecRequest = {
      ...where,
      command,
      env: options.pairs('env'),
      workingDir: options.text('workdir') ?? '',
    }
    const stdin = options.flag('stdin')
    let tty = options.flag('tty')
    if (tty && stdin && !context.io.inputIsTerminal) {
      context.io.err('stdin is not a terminal: going on without -t.\n')
      tty = false
    }
    if (stdin || tty) return await execInteractive(context, request, { tty, stdin })
    return await execOnce(context, request, options.durationMs('timeout')!)
  },
}

async function placeOf(
  context: CommandContext,
  name: string,
  node: string | undefined,
  replica: string | undefined,
): Promise<{ containerId: string; nodeId: string }> {
  if (node !== undefined) return { containerId: name, nodeId: node }
  const target = await findTarget(context, name)
  if (target.kind === 'container') return { containerId: target.containerId, nodeId: '' }
  const { id, nodeId } = replicaToEnter(target.workload, target.replicas, replica)
  return { containerId: id, nodeId }
}

/** The answer may come as late as the command's own limit; the call is given a little more. */
const answerMarginMs = 10_000

async function execOnce(
  context: CommandContext,
  request: ExecRequest,
  timeoutMs: number,
): Promise<number> {
  const { agent } = await context.connect()
  const message = { ...request, command: [...request.command], env: { ...request.env } }
  const result = await agent.execCommand(
    { ...message, timeoutMs: BigInt(timeoutMs) },
    { signal: context.signal, timeoutMs: timeoutMs + answerMarginMs },
  )
  context.io.out(result.stdout)
  context.io.err(result.stderr)
  if (result.truncated) context.io.err('The output was longer than 4 MiB; the rest was dropped.\n')
  return result.exitCode
}
