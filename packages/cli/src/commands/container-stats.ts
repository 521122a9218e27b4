/** `container stats`: CPU, memory, disk and network of containers now. */
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { statsResource } from '../resources/container.ts'
import { printList } from '../resources/resource.ts'

export const containerStats: Command = {
  description: 'Shows what containers use: those named, or all of a node.',
  examples: [
    { title: 'All of a node', line: 'cloudlessctl container stats --node node-a' },
    { title: 'One replica', line: 'cloudlessctl container stats web-abcdefgh' },
  ],
  arguments: [
    {
      name: 'CONTAINER',
      help: 'Id of a container or replica',
      completes: 'container',
      optional: true,
      variadic: true,
    },
  ],
  options: [
    { name: 'node', kind: 'text', value: 'NODE', help: 'All of this node', completes: 'node' },
  ],

  async run(context, input) {
    const nodeId = input.options.text('node') ?? ''
    const ids = input.arguments.length === 0 ? [''] : input.arguments
    if (ids[0] === '' && nodeId === '')
      throw new UsageError('name a container, or a node with --node')
    const { agent } = await context.connect()
    const answers = await Promise.all(
      ids.map((containerId) =>
        agent.getContainerStats({ containerId, nodeId }, { signal: context.signal }),
      ),
    )
    await printList(
      context,
      statsResource,
      answers.flatMap(({ stats }) => stats),
    )
    return 0
  },
}
