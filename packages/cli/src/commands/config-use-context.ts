/** `config use-context`: which cluster is meant from now on. */
import { writeDurably } from '@cloudless/base'
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import type { Command } from '../command.ts'
import { readConfigFile } from '../config/config-file.ts'
import { UsageError } from '../exit-code.ts'
import { didYouMean } from '../suggest.ts'

export const configUseContext: Command = {
  description:
    'Sets current_context in the configuration file; comments and everything else in it stay.',
  examples: [{ title: 'The cluster at home', line: 'cloudlessctl config use-context home' }],
  arguments: [{ name: 'CONTEXT', help: 'Name of the context', completes: 'context' }],
  options: [],

  async run(context, { arguments: [name] }) {
    const path = context.settings.configPath
    if (path === undefined)
      throw new UsageError('there is no configuration file; `make up` writes one')
    const { contexts } = await readConfigFile(path)
    const names = contexts.map((entry) => entry.name)
    if (!names.includes(name!)) {
      throw new UsageError(`there is no context "${name}" in ${path}.${didYouMean(name!, names)}`)
    }
    const document = parseDocument(readFileSync(path, 'utf8'))
    document.set('current_context', name)
    await writeDurably(path, document.toString())
    context.io.out(`current context is ${name}\n`)
    return 0
  },
}
