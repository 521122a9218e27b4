/** `node drain`: moves every replica off a node and keeps new ones away. */
import { counted } from '@cloudless/base'
import type { Command } from '../command.ts'
import { nodeResource } from '../resources/node.ts'
import { printChanged } from '../resources/resource.ts'
import { waitUntilDrained } from '../wait/wait-until-gone.ts'

export const nodeDrain: Command = {
  description:
    'Moves the replicas to other nodes, each one only after its replacement is ready, and takes no new ones.\n' +
    'The node stays a member; end the drain with `node uncordon`, or the membership with `node remove`.',
  examples: [
    { title: 'Before switching a machine off', line: 'cloudlessctl node drain node-a --wait' },
    {
      title: 'At once, without waiting for replacements',
      line: 'cloudlessctl drain node-a --graceful=false',
    },
  ],
  arguments: [{ name: 'NODE', help: 'Name or id', completes: 'node' }],
  options: [
    {
      name: 'graceful',
      kind: 'flag',
      default: 'true',
      help: 'Stop a replica only when its replacement is ready',
    },
    {
      name: 'timeout',
      kind: 'duration',
      default: '5m',
      help: 'After this a drain counts as stuck',
    },
    { name: 'wait', kind: 'flag', help: 'Wait until no replica is left, showing progress' },
  ],

  async run(context, { arguments: [nodeId], options }) {
    const { coordinator } = await context.connect()
    const timeoutMs = options.durationMs('timeout')!
    const node = await coordinator.drainNode(
      { nodeId: nodeId!, graceful: options.flag('graceful'), timeoutMs: BigInt(timeoutMs) },
      { signal: context.signal },
    )
    const left = counted(node.replicaCount, 'replica')
    await printChanged(context, nodeResource, node, `node ${node.name} draining, ${left} on it`)
    return options.flag('wait') ? await waitUntilDrained(context, node, timeoutMs) : 0
  },
}
