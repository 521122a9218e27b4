/** `node get`: one node, best read with -o json or yaml. */
import type { Command } from '../command.ts'
import { nodeResource } from '../resources/node.ts'
import { printList, printOne } from '../resources/resource.ts'

export const nodeGet: Command = {
  description: 'Shows the nodes named, by name or id. -o json and yaml print everything there is.',
  examples: [
    { title: 'Everything about a node', line: 'cloudlessctl node get node-a -o yaml' },
    {
      title: 'Its phase, in a script',
      line: 'cloudlessctl node get node-a -o json | jq -r .status.phase',
    },
  ],
  arguments: [{ name: 'NODE', help: 'Name or id', variadic: true, completes: 'node' }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const nodes = await Promise.all(
      input.arguments.map((nodeId) => coordinator.getNode({ nodeId }, { signal: context.signal })),
    )
    if (nodes.length === 1) await printOne(context, nodeResource, nodes[0]!)
    else await printList(context, nodeResource, nodes)
    return 0
  },
}
