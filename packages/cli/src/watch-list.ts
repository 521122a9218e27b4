/** `--watch` on a list: the table redrawn on a terminal, a line per change elsewhere, a JSON object per change. */
import { equals, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import { WatchKind } from '@cloudless/api'
import type { CommandContext } from './command.ts'
import { encode, messageToJson } from './output/encode.ts'
import { LiveBlock } from './output/live-block.ts'
import { columnsShown, formatColumns, formatTable } from './output/table.ts'
import type { Resource } from './resources/resource.ts'
import { reopening } from './watch.ts'

/** One message of a watch, whatever its kind of thing. */
export interface Change<T> {
  readonly kind: WatchKind
  readonly item: T | undefined
}

const kindNames: Readonly<Record<number, string>> = {
  [WatchKind.ADDED]: 'ADDED',
  [WatchKind.MODIFIED]: 'MODIFIED',
  [WatchKind.DELETED]: 'DELETED',
}

/** Runs until Ctrl-C. `open` streams everything that is, SYNCED, then changes. `keyOf` must be unique. */
export async function watchList<Desc extends DescMessage>(
  context: CommandContext,
  resource: Resource<Desc>,
  open: (signal: AbortSignal) => AsyncIterable<Change<MessageShape<Desc>>>,
  keyOf: (item: MessageShape<Desc>) => string = (item) => resource.nameOf(item),
): Promise<void> {
  const show = viewFor(context, resource)
  let known = new Map<string, MessageShape<Desc>>()
  let seen = new Map<string, MessageShape<Desc>>()
  let synced = false
  const changes = reopening(context, context.signal, (attempt) => {
    if (attempt > 0) {
      synced = false
      seen = new Map()
    }
    return open(context.signal)
  })
  for await (const { kind, item } of changes) {
    if (kind === WatchKind.SYNCED) {
      // After a break, what was deleted meanwhile is what the new snapshot lacks.
      for (const [key, gone] of known) if (!seen.has(key)) await show('DELETED', gone, seen, false)
      synced = true
      known = seen
      await show('SYNCED', undefined, known, true)
      continue
    }
    if (item === undefined) continue
    const key = keyOf(item)
    const current = synced ? known : seen
    if (kind === WatchKind.DELETED) current.delete(key)
    else current.set(key, item)
    const before = synced ? undefined : known.get(key)
    if (before !== undefined && equals(resource.schema, before, item)) continue
    const name = before === undefined ? kindNames[kind] : 'MODIFIED'
    await show(name ?? 'MODIFIED', item, current, synced)
  }
}

type View<Desc extends DescMessage> = (
  kind: string,
  item: MessageShape<Desc> | undefined,
  all: ReadonlyMap<string, MessageShape<Desc>>,
  synced: boolean,
) => Promise<void>

function viewFor<Desc extends DescMessage>(
  context: CommandContext,
  resource: Resource<Desc>,
): View<Desc> {
  const { io, settings, clock } = context
  const columns = columnsShown(resource.columns, settings.output === 'wide')
  switch (settings.output) {
    case 'json':
    case 'yaml':
      return async (kind, item) => {
        if (item === undefined) return
        const object = messageToJson(resource.schema, item)
        if (settings.output === 'json') io.out(`${JSON.stringify({ type: kind, object })}\n`)
        else io.out(`---\n${await encode({ type: kind, object }, 'yaml')}`)
      }
    case 'name':
      return async (_kind, item) => {
        if (item !== undefined) io.out(`${resource.singular}/${resource.nameOf(item)}\n`)
      }
  }
  if (io.outputIsTerminal) {
    const block = new LiveBlock(io, (text) => io.out(text))
    return async (_kind, _item, all, synced) => {
      if (!synced) return
      const { singular, plural } = resource
      const options = { headers: settings.headers, singular, plural }
      block.show(formatTable(columns, [...all.values()], clock.wallMs(), options))
    }
  }
  const widths: number[] = []
  if (settings.headers) {
    io.out(formatColumns([['CHANGE', ...columns.map((c) => c.title)]], widths))
  }
  return async (kind, item) => {
    if (item === undefined) return
    io.out(formatColumns([[kind, ...columns.map((c) => c.value(item, clock.wallMs()))]], widths))
  }
}
