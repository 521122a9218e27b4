/** `node list`: the members of the cluster. */
import type { Node, WatchNodesResponse } from '@cloudless/api'
import type { Command } from '../command.ts'
import { selectorOption, watchOption } from '../global-options.ts'
import { fetchAll } from '../paging.ts'
import { nodeResource } from '../resources/node.ts'
import { printList } from '../resources/resource.ts'
import { watchList, type Change } from '../watch-list.ts'

export const nodeList: Command = {
  description:
    'Shows every node with its place, phase, use and reliability. -o wide adds addresses, subnet, runtime,\n' +
    'certificate and labels.',
  examples: [
    { title: 'All nodes', line: 'cloudlessctl node list' },
    {
      title: 'Those in one zone, as they change',
      line: 'cloudlessctl node list -z zone-a --watch',
    },
    { title: 'Names only, for a script', line: 'cloudlessctl node list -o name' },
  ],
  arguments: [],
  options: [
    { name: 'region', short: 'r', kind: 'list', value: 'REGION', help: 'Only in this region' },
    { name: 'zone', short: 'z', kind: 'list', value: 'ZONE', help: 'Only in this zone' },
    selectorOption,
    watchOption,
  ],

  async run(context, { options }) {
    const filter = {
      labelSelector: { ...options.pairs('labels') },
      regions: [...options.list('region')],
      zones: [...options.list('zone')],
    }
    const { coordinator } = await context.connect()
    if (options.flag('watch')) {
      await watchList(context, nodeResource, (signal) =>
        nodeChanges(coordinator.watchNodes(filter, { signal, timeoutMs: 0 })),
      )
      return 0
    }
    const nodes = await fetchAll(
      (page) => coordinator.listNodes({ ...filter, ...page }, { signal: context.signal }),
      (page) => page.nodes,
    )
    await printList(context, nodeResource, nodes)
    return 0
  },
}

async function* nodeChanges(
  stream: AsyncIterable<WatchNodesResponse>,
): AsyncGenerator<Change<Node>> {
  for await (const { kind, node } of stream) yield { kind, item: node }
}
