/** `node remove`: the end of a membership. */
import type { Command } from '../command.ts'

export const nodeRemove: Command = {
  description:
    'Ends the membership of nodes: their certificates stop working at once, and replicas still on them are\n' +
    'replaced elsewhere. Refused while a node has replicas, unless forced; drain it first. To come back, a device\n' +
    'needs a new join token.',
  examples: [
    { title: 'A drained node', line: 'cloudlessctl node remove node-a' },
    { title: 'A machine that is lost', line: 'cloudlessctl node remove node-a --force' },
  ],
  arguments: [{ name: 'NODE', help: 'Name or id', variadic: true, completes: 'node' }],
  options: [
    { name: 'force', kind: 'flag', help: 'Also when replicas are on it or it is connected' },
  ],

  async run(context, input) {
    const { coordinator } = await context.connect()
    for (const nodeId of input.arguments) {
      await coordinator.removeNode(
        { nodeId, force: input.options.flag('force') },
        { signal: context.signal },
      )
      context.io.out(`node ${nodeId} removed\n`)
    }
    return 0
  },
}
