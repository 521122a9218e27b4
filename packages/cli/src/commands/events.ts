/** `events`: what was decided, by whom, about what. */
import { EventSchema, type Event, type EventFilterSchema } from '@cloudless/api'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { parseDurationMs } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { allNamespacesOption, watchOption } from '../global-options.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { columnsShown, formatColumns } from '../output/table.ts'
import { fetchAll } from '../paging.ts'
import { eventResource } from '../resources/event.ts'
import { printList } from '../resources/resource.ts'
import { reopening } from '../watch.ts'

type Filter = MessageInitShape<typeof EventFilterSchema>

export const events: Command = {
  description:
    'Prints events, oldest first. Every filter given must match. --watch goes on with new ones, and misses none\n' +
    'when the connection breaks.',
  examples: [
    { title: 'The last hour', line: 'cloudlessctl events --since 1h' },
    {
      title: 'What happens to nodes, as it happens',
      line: "cloudlessctl events --type 'node.*' --watch",
    },
    {
      title: 'The story of one workload',
      line: 'cloudlessctl events --resource workload/default-web',
    },
    {
      title: 'Only what went wrong',
      line: 'cloudlessctl events --severity error --severity critical',
    },
  ],
  arguments: [],
  options: [
    watchOption,
    allNamespacesOption,
    { name: 'type', kind: 'list', value: 'TYPE', help: 'Such as node.enrolled or "node.*"' },
    { name: 'severity', kind: 'list', value: 'SEVERITY', help: 'info, warning, error or critical' },
    {
      name: 'resource',
      kind: 'text',
      value: 'TYPE[/ID]',
      help: 'Such as node or workload/default-web',
    },
    { name: 'actor', kind: 'text', value: 'ID', help: 'Who did it' },
    { name: 'correlation', kind: 'text', value: 'ID', help: 'Of one invocation (see --verbose)' },
    {
      name: 'since',
      kind: 'text',
      value: 'DURATION|TIME',
      help: 'Such as 1h or 2026-11-20T12:00:00Z',
    },
    {
      name: 'until',
      kind: 'text',
      value: 'DURATION|TIME',
      help: 'Such as 10m or 2026-11-20T13:00:00Z',
    },
    { name: 'tail', kind: 'integer', help: 'Only the newest N' },
  ],

  async run(context, input) {
    const filter = filterOf(context, input)
    if (input.options.flag('watch')) return await watch(context, filter, input)
    const { coordinator } = await context.connect()
    const all = await fetchAll(
      (page) => coordinator.listEvents({ filter, ...page }, { signal: context.signal }),
      (page) => page.events,
    )
    const tail = input.options.integer('tail')
    const shown = tail === undefined ? all : all.slice(Math.max(0, all.length - tail))
    await printList(context, eventResource, shown)
    return 0
  },
}

function filterOf(context: CommandContext, { options }: CommandInput): Filter {
  const [resourceType, ...id] = (options.text('resource') ?? '').split('/')
  return {
    types: [...options.list('type')],
    severities: [...options.list('severity')],
    resourceType: resourceType ?? '',
    resourceId: id.join('/'),
    actorId: options.text('actor') ?? '',
    correlationId: options.text('correlation') ?? '',
    sinceMs: instantOf(context, 'since', options.text('since')),
    untilMs: instantOf(context, 'until', options.text('until')),
    // Nodes and tokens have no namespace: only a namespace that was asked for narrows the list.
    namespace: options.flag('all-namespaces') ? '' : (options.text('namespace') ?? ''),
  }
}

function instantOf(context: CommandContext, name: string, text: string | undefined): bigint {
  if (text === undefined) return 0n
  const agoMs = parseDurationMs(text)
  if (agoMs !== undefined) return BigInt(Math.round(context.clock.wallMs() - agoMs))
  const wallMs = Date.parse(text)
  if (Number.isNaN(wallMs)) {
    throw new UsageError(
      `--${name} must be a duration such as 1h or a time such as 2026-11-20T12:00:00Z`,
    )
  }
  return BigInt(wallMs)
}

const watchTailDefault = 10

async function watch(
  context: CommandContext,
  filter: Filter,
  input: CommandInput,
): Promise<number> {
  const { coordinator } = await context.connect()
  const { signal, io, settings, clock } = context
  const columns = columnsShown(eventResource.columns, settings.output === 'wide')
  const widths: number[] = []
  const isTable = settings.output === 'table' || settings.output === 'wide'
  if (isTable && settings.headers) io.out(formatColumns([columns.map((c) => c.title)], widths))

  let afterSequence = 0n
  const tail = input.options.integer('tail') ?? watchTailDefault
  const stream = reopening(context, signal, () =>
    coordinator.watchEvents({ filter, tail, afterSequence }, { signal, timeoutMs: 0 }),
  )
  for await (const event of stream) {
    afterSequence = event.sequence
    if (isTable) io.out(formatColumns([columns.map((c) => c.value(event, clock.wallMs()))], widths))
    else io.out(await encodeLine(event, settings.output))
  }
  return 0
}

async function encodeLine(event: Event, output: string): Promise<string> {
  if (output === 'name') return `event/${event.sequence}\n`
  const value = messageToJson(EventSchema, event)
  return output === 'json' ? `${JSON.stringify(value)}\n` : `---\n${await encode(value, 'yaml')}`
}
