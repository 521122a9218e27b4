/** How a kind of thing is named, shown in a table and written as JSON. */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import type { CommandContext } from '../command.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { columnsShown, formatTable, type Column } from '../output/table.ts'

export interface Resource<Desc extends DescMessage> {
  readonly singular: string
  readonly plural: string
  readonly schema: Desc
  readonly columns: readonly Column<MessageShape<Desc>>[]
  /** What other commands take to mean it. */
  nameOf(item: MessageShape<Desc>): string
}

/** Prints a list in the format asked for. */
export async function printList<Desc extends DescMessage>(
  context: CommandContext,
  resource: Resource<Desc>,
  items: readonly MessageShape<Desc>[],
): Promise<void> {
  const { output, headers } = context.settings
  switch (output) {
    case 'json':
    case 'yaml': {
      const list = { items: items.map((item) => messageToJson(resource.schema, item)) }
      return context.io.out(await encode(list, output))
    }
    case 'name':
      return context.io.out(
        items.map((item) => `${resource.singular}/${resource.nameOf(item)}\n`).join(''),
      )
    case 'table':
    case 'wide':
      return context.io.out(
        formatTable(
          columnsShown(resource.columns, output === 'wide'),
          items,
          context.clock.wallMs(),
          { headers, singular: resource.singular, plural: resource.plural },
        ),
      )
  }
}

/** Prints one, alone; as a table it is a table of one row. */
export async function printOne<Desc extends DescMessage>(
  context: CommandContext,
  resource: Resource<Desc>,
  item: MessageShape<Desc>,
): Promise<void> {
  const { output } = context.settings
  if (output !== 'json' && output !== 'yaml') return await printList(context, resource, [item])
  context.io.out(await encode(messageToJson(resource.schema, item), output))
}

/**
 * After a change: the sentence for people, or the thing itself where a format was asked for.
 * `-o name` prints the name, so that scripts can go on with it.
 */
export async function printChanged<Desc extends DescMessage>(
  context: CommandContext,
  resource: Resource<Desc>,
  item: MessageShape<Desc>,
  sentence: string,
): Promise<void> {
  const { output } = context.settings
  if (output === 'table' || output === 'wide') context.io.out(`${sentence}\n`)
  else await printOne(context, resource, item)
}
