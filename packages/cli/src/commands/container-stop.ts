/** `container stop`: SIGTERM, a grace, SIGKILL. */
import type { Command } from '../command.ts'

export const containerStop: Command = {
  description:
    "Stops containers. A replica's container is started again by its restart policy: this is how to restart one\n" +
    'by hand.',
  examples: [
    { title: 'Restart one replica', line: 'cloudlessctl container stop web-abcdefgh' },
    {
      title: 'Stop one run by hand and forget it',
      line: 'cloudlessctl container stop try --node node-a --remove',
    },
  ],
  arguments: [
    {
      name: 'CONTAINER',
      help: 'Id of a container or replica',
      completes: 'container',
      variadic: true,
    },
  ],
  options: [
    { name: 'node', kind: 'text', value: 'NODE', help: 'Its node', completes: 'node' },
    {
      name: 'grace',
      kind: 'duration',
      help: "Between SIGTERM and SIGKILL; the spec's when not given",
    },
    { name: 'remove', kind: 'flag', help: 'Also forget it; only for containers run by hand' },
  ],

  async run(context, input) {
    const { options } = input
    const { agent } = await context.connect()
    const graceMs = options.durationMs('grace')
    for (const containerId of input.arguments) {
      const { exitCode } = await agent.stopContainer(
        {
          containerId,
          nodeId: options.text('node') ?? '',
          remove: options.flag('remove'),
          ...(graceMs === undefined ? {} : { graceMs: BigInt(graceMs) }),
        },
        { signal: context.signal },
      )
      context.io.out(`container ${containerId} stopped with exit code ${exitCode}\n`)
    }
    return 0
  },
}
