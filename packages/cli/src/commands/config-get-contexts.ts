/** `config get-contexts`: the clusters the configuration knows. */
import type { Command } from '../command.ts'
import { readConfigFile } from '../config/config-file.ts'
import { encode } from '../output/encode.ts'
import { formatTable, type Column } from '../output/table.ts'

interface Row {
  readonly name: string
  readonly current: boolean
  readonly coordinator: string
  readonly namespace: string
}

const columns: readonly Column<Row>[] = [
  { title: 'CURRENT', value: (row) => (row.current ? '*' : '') },
  { title: 'NAME', value: (row) => row.name },
  { title: 'COORDINATOR', value: (row) => row.coordinator },
  { title: 'NAMESPACE', value: (row) => row.namespace },
]

export const configGetContexts: Command = {
  description: 'Shows the contexts of the configuration file, the current one marked.',
  examples: [{ title: 'All of them', line: 'cloudlessctl config get-contexts' }],
  arguments: [],
  options: [],

  async run(context) {
    const { settings, io } = context
    const file =
      settings.configPath === undefined ? undefined : await readConfigFile(settings.configPath)
    const rows = (file?.contexts ?? []).map((entry) => ({
      name: entry.name,
      current: entry.name === settings.contextName,
      coordinator: entry.coordinator ?? '-',
      namespace: entry.namespace ?? 'default',
    }))
    const { output, headers } = settings
    if (output === 'json' || output === 'yaml') io.out(await encode({ items: rows }, output))
    else if (output === 'name') io.out(rows.map((row) => `${row.name}\n`).join(''))
    else
      io.out(
        formatTable(columns, rows, context.clock.wallMs(), {
          headers,
          singular: 'context',
          plural: 'contexts',
        }),
      )
    return 0
  },
}
