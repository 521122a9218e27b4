/** `image list`: images a node has. */
import type { Command } from '../command.ts'
import { fetchAll } from '../paging.ts'
import { imageResource } from '../resources/image.ts'
import { printList } from '../resources/resource.ts'
import { nodeOption, requiredNode } from './node-option.ts'

export const imageList: Command = {
  description: 'Shows the images of one node.',
  examples: [{ title: 'Of a node', line: 'cloudlessctl image list --node node-a' }],
  arguments: [],
  options: [nodeOption],

  async run(context, { options }) {
    const nodeId = requiredNode(options)
    const { agent } = await context.connect()
    const images = await fetchAll(
      (page) => agent.listImages({ nodeId, ...page }, { signal: context.signal }),
      (page) => page.images,
    )
    await printList(context, imageResource, images)
    return 0
  },
}
