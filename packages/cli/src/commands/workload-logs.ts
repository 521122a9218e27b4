/** `workload logs`: of all replicas together, or of one. */
import { parseDurationMs } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from '../command.ts'
import { CloudlessError } from '@cloudless/base'
import { UsageError } from '../exit-code.ts'
import { followWorkload } from '../logs/follow-workload.ts'
import { LogPrinter } from '../logs/log-printer.ts'
import { followLog, readLog, type LogRequest } from '../logs/log-source.ts'
import { mergeByTime } from '../logs/merge.ts'
import { replicaExplanation, replicaState } from '../resources/replica.ts'
import { findTarget, hasContainer, isReplica, type Target } from '../targets.ts'

export const workloadLogs: Command = {
  description:
    'Prints what the replicas of a workload wrote, in the order of time, each line behind the replica it is from.\n' +
    'With -f it goes on, also with replicas that come later, until Ctrl-C or until the workload is deleted.',
  examples: [
    { title: 'Of every replica, and go on', line: 'cloudlessctl workload logs web -f' },
    {
      title: 'The last hour of one replica',
      line: 'cloudlessctl logs web --replica abcdefgh --since 1h --tail -1',
    },
    { title: 'Of a container by its id', line: 'cloudlessctl logs web-abcdefgh' },
  ],
  arguments: [{ name: 'NAME', help: 'Workload, replica or container', completes: 'workload' }],
  options: [
    { name: 'follow', short: 'f', kind: 'flag', help: 'Go on with what comes' },
    {
      name: 'tail',
      kind: 'integer',
      default: '100',
      help: 'Newest lines of each replica; -1: all',
    },
    {
      name: 'since',
      kind: 'text',
      value: 'DURATION|TIME',
      help: 'Such as 10m or 2026-11-20T12:00:00Z',
    },
    {
      name: 'replica',
      kind: 'text',
      value: 'REPLICA',
      help: 'Only this one: its id or the end of it',
    },
    { name: 'timestamps', kind: 'flag', help: 'Show when each line was written' },
    { name: 'prefix', kind: 'flag', help: 'Show the replica also when there is only one' },
    {
      name: 'node',
      kind: 'text',
      value: 'NODE',
      help: 'Node of a container run by hand',
      completes: 'node',
    },
  ],

  async run(context, input) {
    const { options } = input
    const node = options.text('node')
    const [name] = input.arguments
    const target: Target =
      node === undefined
        ? await findTarget(context, name!)
        : { kind: 'container', containerId: name! }
    const range = rangeOf(context, input)
    const timestamps = options.flag('timestamps')

    if (target.kind === 'container') {
      const printer = new LogPrinter(context.io, { prefix: options.flag('prefix'), timestamps })
      const request = { containerId: target.containerId, nodeId: node ?? '', ...range }
      const lines = options.flag('follow')
        ? followLog(context, request, context.signal, true)
        : readLog(context, request)
      for await (const line of lines) await printer.print(target.containerId, line)
      return 0
    }

    const replica = options.text('replica')
    const chosen = target.replicas.filter((each) => isReplica(replica, each))
    if (replica !== undefined && chosen.length === 0) {
      const all = target.replicas.map(({ id }) => id).join(', ') || 'none'
      throw new CloudlessError('not_found', `there is no replica "${replica}"; there are ${all}.`)
    }
    const prefix = options.flag('prefix') || (replica === undefined && target.replicas.length !== 1)
    const printer = new LogPrinter(context.io, { prefix, timestamps })
    for (const waiting of chosen.filter((each) => !hasContainer(each))) {
      const why = replicaExplanation(waiting)
      context.io.err(`${waiting.id} has no log: ${replicaState(waiting)}${why && `, ${why}`}\n`)
    }
    if (options.flag('follow')) {
      const { id, namespace } = target.workload
      await followWorkload(context, printer, { workloadId: id, namespace, replica, ...range })
      return 0
    }
    const sources = chosen.filter(hasContainer).map(({ id, nodeId }) => ({
      name: id,
      lines: readLog(context, { containerId: id, nodeId, ...range }),
    }))
    for await (const { source, line } of mergeByTime(sources)) await printer.print(source, line)
    return 0
  },
}

function rangeOf(
  context: CommandContext,
  { options }: CommandInput,
): Pick<LogRequest, 'tailLines' | 'sinceMs'> {
  const tail = options.integer('tail')!
  const since = options.text('since')
  // A start asks for everything since, unless a number was given too.
  const all = tail < 0 || (since !== undefined && !options.has('tail'))
  return { tailLines: all ? undefined : tail, sinceMs: sinceOf(context, since) }
}

function sinceOf(context: CommandContext, text: string | undefined): number {
  if (text === undefined) return 0
  const agoMs = parseDurationMs(text)
  if (agoMs !== undefined) return context.clock.wallMs() - agoMs
  const wallMs = Date.parse(text)
  if (Number.isNaN(wallMs)) {
    throw new UsageError(
      '--since must be a duration such as 10m or a time such as 2026-11-20T12:00:00Z',
    )
  }
  return wallMs
}
