/** `node cordon` and `node uncordon`: whether new replicas may come to a node. */
import type { Command } from '../command.ts'
import { nodeResource } from '../resources/node.ts'
import { printChanged } from '../resources/resource.ts'

const nodeArgument = {
  name: 'NODE',
  help: 'Name or id',
  variadic: true,
  completes: 'node',
} as const

export const nodeCordon: Command = {
  description:
    'Keeps new replicas away from nodes. Those that are there stay; `node drain` moves them off.',
  examples: [{ title: 'Before some work on a machine', line: 'cloudlessctl node cordon node-a' }],
  arguments: [nodeArgument],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    for (const nodeId of input.arguments) {
      const node = await coordinator.cordonNode({ nodeId }, { signal: context.signal })
      await printChanged(context, nodeResource, node, `node ${node.name} cordoned`)
    }
    return 0
  },
}

export const nodeUncordon: Command = {
  description:
    'Ends a cordon or a drain: the nodes take new replicas again. Nothing moves back by itself, except of workloads\n' +
    'with `rebalance`.',
  examples: [{ title: 'After the work', line: 'cloudlessctl node uncordon node-a' }],
  arguments: [nodeArgument],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    for (const nodeId of input.arguments) {
      const node = await coordinator.uncordonNode({ nodeId }, { signal: context.signal })
      await printChanged(context, nodeResource, node, `node ${node.name} uncordoned`)
    }
    return 0
  },
}
