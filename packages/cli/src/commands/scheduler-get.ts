/** `scheduler get`: how nodes are chosen for replicas. */
import { SchedulerConfigurationSchema, type SchedulerConfiguration } from '@cloudless/api'
import type { Command, CommandContext } from '../command.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { schedulerSheet } from '../output/scheduler-sheet.ts'

export const schedulerGet: Command = {
  description:
    'Prints the weights of the score and the other choices, in the words of the options of `scheduler set`. What is\n' +
    "marked as changed differs from the coordinator's configuration file; the rest follows the file.",
  examples: [
    { title: 'What holds now', line: 'cloudlessctl scheduler get' },
    { title: 'In a script', line: 'cloudlessctl scheduler get -o json | jq .weights' },
  ],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator } = await context.connect()
    const { signal } = context
    const configuration = await coordinator.getSchedulerConfiguration({}, { signal })
    await printConfiguration(context, configuration)
    return 0
  },
}

export async function printConfiguration(
  context: CommandContext,
  configuration: SchedulerConfiguration,
): Promise<void> {
  const { output } = context.settings
  if (output === 'json' || output === 'yaml') {
    const json = messageToJson(SchedulerConfigurationSchema, configuration)
    context.io.out(await encode(json, output))
  } else if (output === 'name') context.io.out('scheduler/configuration\n')
  else context.io.out(schedulerSheet(configuration))
}
