/** `container list`: what a node's runtime has, replicas and containers run by hand. */
import type { Command } from '../command.ts'
import { fetchAll } from '../paging.ts'
import { containerResource } from '../resources/container.ts'
import { printList } from '../resources/resource.ts'
import { nodeOption, requiredNode } from './node-option.ts'

export const containerList: Command = {
  description: 'Shows the containers of one node as its agent sees them now.',
  examples: [{ title: 'Of a node', line: 'cloudlessctl container list --node node-a' }],
  arguments: [],
  options: [nodeOption],

  async run(context, { options }) {
    const nodeId = requiredNode(options)
    const { agent } = await context.connect()
    const containers = await fetchAll(
      (page) => agent.listContainers({ nodeId, ...page }, { signal: context.signal }),
      (page) => page.containers,
    )
    await printList(context, containerResource, containers)
    return 0
  },
}
