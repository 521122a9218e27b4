/** `node label`: labels decide where workloads may go. */
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { nodeResource } from '../resources/node.ts'
import { printChanged } from '../resources/resource.ts'

export const nodeLabel: Command = {
  description: 'Sets labels with KEY=VALUE and removes them with KEY-.',
  examples: [
    {
      title: 'Set one and remove another',
      line: 'cloudlessctl node label node-a disk=ssd old-label-',
    },
  ],
  arguments: [
    { name: 'NODE', help: 'Name or id', completes: 'node' },
    { name: 'LABEL', help: 'KEY=VALUE to set, KEY- to remove', variadic: true },
  ],
  options: [],

  async run(context, input) {
    const [nodeId, ...changes] = input.arguments
    const setLabels: Record<string, string> = {}
    const removeLabels: string[] = []
    for (const change of changes) {
      const at = change.indexOf('=')
      if (at > 0) setLabels[change.slice(0, at)] = change.slice(at + 1)
      else if (at < 0 && /.-$/.test(change)) removeLabels.push(change.slice(0, -1))
      else throw new UsageError(`a label is KEY=VALUE or KEY-, not "${change}"`)
    }
    const { coordinator } = await context.connect()
    const node = await coordinator.updateNode(
      { nodeId: nodeId!, setLabels, removeLabels },
      { signal: context.signal },
    )
    await printChanged(context, nodeResource, node, `node ${node.name} labelled`)
    return 0
  },
}
