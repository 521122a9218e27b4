/** `schema`: the JSON Schema of manifests, for editors and checkers. */
import type { Command } from '../command.ts'
import { encode } from '../output/encode.ts'

export const schema: Command = {
  description:
    'Prints the JSON Schema that manifests are checked against. Works without a coordinator.',
  examples: [
    { title: 'For an editor', line: 'cloudlessctl schema > cloudless.schema.json' },
    { title: 'To read', line: 'cloudlessctl schema -o yaml' },
  ],
  arguments: [],
  options: [],

  async run(context) {
    const { manifestJsonSchema } = await import('@cloudless/api/manifest')
    const format = context.settings.output === 'yaml' ? 'yaml' : 'json'
    context.io.out(await encode(manifestJsonSchema() as Parameters<typeof encode>[0], format))
    return 0
  },
}
