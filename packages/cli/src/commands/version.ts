/** `version`: of this command and, where it answers, of the coordinator. */
import { messageOf, version } from '@cloudless/base'
import type { Command } from '../command.ts'
import { encode } from '../output/encode.ts'

export const versionCommand: Command = {
  description:
    'Prints versions. The coordinator is asked unless --client is given; not reaching it is no failure here.',
  examples: [
    { title: 'Both', line: 'cloudlessctl version' },
    { title: 'Without a cluster', line: 'cloudlessctl version --client' },
  ],
  arguments: [],
  options: [{ name: 'client', kind: 'flag', help: 'Only of this command' }],

  async run(context, { options }) {
    const { io, settings, signal } = context
    const facts: Record<string, string> = {
      client: version,
      node: process.versions.node,
      platform: `${process.platform}/${process.arch}`,
    }
    if (!options.flag('client')) {
      try {
        const { coordinator } = await context.connect()
        const status = await coordinator.getClusterStatus({}, { signal })
        facts['coordinator'] = status.coordinatorVersion
      } catch (reason) {
        io.err(`The coordinator's version is not known: ${messageOf(reason)}\n`)
      }
    }
    const { output } = settings
    if (output === 'json' || output === 'yaml') io.out(await encode(facts, output))
    else
      io.out(
        Object.entries(facts)
          .map(([name, value]) => `${name}: ${value}\n`)
          .join(''),
      )
    return 0
  },
}
