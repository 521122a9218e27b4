/** `node drain`: moves every replica off nodes and keeps new ones away. */
import { counted } from '@cloudless/base'
import type { Command } from '../command.ts'
import { exitCodes } from '../exit-code.ts'
import { leftToDrain } from '../resources/drain.ts'
import { nodeResource } from '../resources/node.ts'
import { printChanged } from '../resources/resource.ts'
import { waitUntilDrained } from '../wait/wait-until-drained.ts'

export const nodeDrain: Command = {
  description:
    'Moves the replicas to other nodes, each one only after its replacement is ready, and takes no new ones.\n' +
    'Nothing is stopped that would leave a workload below its min_available; what that holds up is said by --wait and by\n' +
    '`node describe`. Daemons stay. With --force, what is left after --timeout is stopped all the same.\n' +
    'Several nodes are drained one after another with --wait, and at the same time without.\n' +
    'Where everything would go is said beforehand by `simulate drain`. The node stays a member; end the drain with\n' +
    '`node uncordon`, or the membership with `node remove`.',
  examples: [
    { title: 'Before switching a machine off', line: 'cloudlessctl node drain node-a --wait' },
    {
      title: 'It must be off in ten minutes, come what may',
      line: 'cloudlessctl node drain node-a --wait --timeout 9m --force',
    },
    {
      title: 'At once, without waiting for replacements',
      line: 'cloudlessctl drain node-a --graceful=false',
    },
  ],
  arguments: [{ name: 'NODE', help: 'Name or id', variadic: true, completes: 'node' }],
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
    {
      name: 'force',
      kind: 'flag',
      help: 'After the timeout stop what is left, also below min_available',
    },
    { name: 'wait', kind: 'flag', help: 'Wait until no replica is left, showing progress' },
  ],

  async run(context, input) {
    const { options } = input
    const { coordinator } = await context.connect()
    const timeoutMs = options.durationMs('timeout')!
    const force = options.flag('force')
    const how = { graceful: options.flag('graceful'), timeoutMs: BigInt(timeoutMs), force }
    for (const nodeId of input.arguments) {
      const node = await coordinator.drainNode({ nodeId, ...how }, { signal: context.signal })
      const left = counted(leftToDrain(node), 'replica')
      await printChanged(context, nodeResource, node, `node ${node.name} draining, ${left} on it`)
      if (!options.flag('wait')) continue
      const code = await waitUntilDrained(context, node, { timeoutMs, force })
      if (code !== exitCodes.ok) return code
    }
    return exitCodes.ok
  },
}
